"""The server of slipway-serve-mms over a stand-in for MMS: no Java and no container.

python -m tests.support.mms_stand_in ORDERS: the program of the image, with the stand-in's command
in place of Java's. python -m tests.support.mms_stand_in ORDERS FOLDER: the stand-in, with the
properties and the sockets in FOLDER. Its workers are the true Transformer, in threads.

A test gives orders by files in the folder ORDERS:
hold: no prediction is given while the file is there. garble: the requests are no JSON.
MODEL.lost: the model's processes die.
MMS writes what it was asked to the file `asked`, one line each.
"""

import http.server
import os
import signal
import socketserver
import sys
import threading
import time
import urllib.parse
from pathlib import Path
from typing import Any

from serve.mms import __main__ as program
from serve.mms import transformer
from serve.mms.configuration import INFERENCE_SOCKET, MANAGEMENT_SOCKET, PROPERTIES_FILE
from serve.mms.transformer import Transformer

STEP_S = 0.01


class WorkerLeft(BaseException):
    """A worker has ended."""


class Context:
    """MMS's context, of which a Transformer uses one method: the types given back."""

    def __init__(self) -> None:
        self.types: dict[int, str] = {}

    def set_response_content_type(self, index: int, content_type: str) -> None:
        self.types[index] = content_type


class StandIn:
    """Models by name, and what MMS answers."""

    def __init__(self, orders: Path):
        self.orders = orders
        self.models: dict[str, Transformer] = {}
        self.context: Any = Context()  # Any: in place of MMS's own type
        self._lock = threading.Lock()

    def load(self, name: str, folder: str) -> tuple[int, bytes]:
        worker = Transformer()
        try:
            worker.validate_and_initialize(folder, self.context)
        # MMS's sentence for workers that end while they load.
        except WorkerLeft:
            return 500, b'{"code": 500, "message": "Failed to start workers"}'
        self.models[name] = worker
        return 200, b"{}"

    def predict(self, name: str, body: bytes) -> tuple[int, bytes]:
        # Looked at again and again: a test lets go by removing the file.
        while (self.orders / "hold").exists():
            time.sleep(STEP_S)
        if (self.orders / "garble").exists():
            body = b"x\n"
        if name not in self.models:
            return 404, b'{"code": 404, "message": "Model not found"}'
        return 200, self.models[name].transform([{"body": body}], self.context)[0]

    def look_at_orders(self) -> None:
        """Until the server has died, which a test may kill."""
        server = os.getppid()
        while os.getppid() == server:
            time.sleep(STEP_S)
            # As after a crash: MMS forgets the model and tells nobody.
            for path in self.orders.glob("*.lost"):
                self.models.pop(path.stem, None)
                path.unlink()
        os._exit(1)

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body, as MMS gives them."""
        # Requests come in threads; each line must stay whole.
        with self._lock, (self.orders / "asked").open("a") as file:
            file.write(f"{method} {path}\n")
        parts = urllib.parse.urlsplit(path)
        name = parts.path.rpartition("/")[2]
        if parts.path == "/ping":
            return 200, b""
        if parts.path.startswith("/predictions/"):
            return self.predict(name, body)
        if method == "POST":
            # MMS takes these two from the query, not from the body.
            values = dict(urllib.parse.parse_qsl(parts.query))
            return self.load(values["model_name"], values["url"])
        if method == "DELETE":
            self.models.pop(name, None)
        return (200, b"{}") if name in self.models else (404, b"{}")


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


def serve_at(path: Path, stand_in: StandIn) -> None:
    """Answer for ever at a Unix socket."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, answer = stand_in.answer(self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815  the library's names

        def log_message(self, *_: object) -> None:
            pass

    UnixServer(str(path), Handler).serve_forever()


def run(orders: Path, folder: Path) -> None:
    """Be MMS: load the single model, if there is one, and serve. Exit codes as of our Java."""

    def leave() -> None:
        raise WorkerLeft

    # A worker leaves by ending its process; here the server would end with it.
    transformer._leave = leave  # type: ignore[assignment]  # a thread is no process
    text = (folder / PROPERTIES_FILE).read_text()
    values = dict(line.split("=", 1) for line in text.splitlines())
    stand_in = StandIn(orders)
    if "load_models" in values:
        name, _, own = values["load_models"].partition("=")
        if stand_in.load(name, own)[0] != 200:
            sys.exit(program.MODEL_UNUSABLE)
    for socket_name in (INFERENCE_SOCKET, MANAGEMENT_SOCKET):
        arguments = (folder / socket_name, stand_in)
        threading.Thread(target=serve_at, args=arguments, daemon=True).start()
    threading.Thread(target=stand_in.look_at_orders, daemon=True).start()
    # The threads are daemons: without this the program would end.
    signal.pause()


def main() -> None:
    orders = Path(sys.argv[1])
    if len(sys.argv) > 2:
        run(orders, Path(sys.argv[2]))
        return

    def command(settings: object, folder: Path, *_: object) -> list[str]:
        return [sys.executable, "-m", "tests.support.mms_stand_in", str(orders), str(folder)]

    # Only the command is another; what starts and watches MMS is the image's own code.
    vars(program)["command"] = command
    sys.exit(program.main())


if __name__ == "__main__":
    # The tests compare probabilities with those of f32.
    os.environ.setdefault("SLIPWAY_PRECISION", "f32")
    main()
