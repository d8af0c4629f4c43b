"""How long /ping takes while clients send what costs the server most to read.

Usage: python bench/fairness.py [--code FOLDER] [--connections 60] [--seconds 10]

It serves a small model made by hand, with the code in FOLDER (default: this repository), so that
two versions can be compared. Each row of the table is one kind of load, sent over all connections
at once, and the seconds that /ping took on a connection of its own.
"""

import argparse
import contextlib
import multiprocessing
import os
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from runtime.ports import free_port  # noqa: E402  # the path is set above
from runtime.probes import ping  # noqa: E402  # see above
from tests.support.colour_model import write_colour_model  # noqa: E402  # see above

HEAD = b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LINES = b"".join(b"a%d:b\r\n" % number for number in range(150))
EMPTY = b"Content-Length: 1\r\n\r\nx"
JSON_BODY = b"[" + b"[]," * 1_900_000 + b"[]]"
JSON_REQUEST = HEAD.replace(b"image/jpeg", b"application/json") + (
    b"Content-Length: %d\r\n\r\n" % len(JSON_BODY) + JSON_BODY
)
# What a connection sends first, and then again and again.
LOADS = {
    "none": (b"", b""),
    "chunks of one byte": (CHUNKED, b"1\r\nx\r\n" * 2700),
    "chunks of one byte with extensions": (CHUNKED, b"1;a=b;c\r\nx\r\n" * 1300),
    "heads of 150 lines": (b"", (HEAD + LINES + EMPTY) * 10),
    "JSON of two million lists": (b"", JSON_REQUEST),
    "small requests": (b"", (HEAD + EMPTY) * 100),
}


@contextlib.contextmanager
def serving(code: Path, model: Path) -> Iterator[int]:
    """The port of a ready server with a folder's code."""
    port = free_port()
    variables = {
        **os.environ,
        "SLIPWAY_MODEL_DIR": str(model),
        "SLIPWAY_HOST": "127.0.0.1",
        "SAGEMAKER_BIND_TO_PORT": str(port),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "serve"], cwd=code, env=variables, stdout=subprocess.DEVNULL
    )
    try:
        while ping(f"http://127.0.0.1:{port}") != 200:
            time.sleep(0.1)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def send_for_ever(port: int, connections: int, first: bytes, again: bytes) -> None:
    """Send over many connections, as fast as the server takes it; read what it answers."""
    selector = selectors.DefaultSelector()

    def connect() -> None:
        found = socket.create_connection(("127.0.0.1", port))
        found.setblocking(False)
        events = selectors.EVENT_READ | selectors.EVENT_WRITE
        selector.register(found, events, bytearray(first + again))

    for _ in range(connections):
        connect()
    while True:
        for key, events in selector.select():
            assert isinstance(key.fileobj, socket.socket)
            try:
                if events & selectors.EVENT_READ and not key.fileobj.recv(65536):
                    raise ConnectionError
                if events & selectors.EVENT_WRITE:
                    sent = key.fileobj.send(key.data)
                    del key.data[:sent]
                    key.data.extend(again if not key.data else b"")
            except BlockingIOError:
                continue
            except OSError:
                selector.unregister(key.fileobj)
                key.fileobj.close()
                connect()


def pings(port: int, seconds: float) -> list[float]:
    """The seconds of each /ping, one after the other."""
    taken = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        started = time.monotonic()
        ping(f"http://127.0.0.1:{port}", 60)
        taken.append(time.monotonic() - started)
        time.sleep(0.05)
    return taken


def main() -> int:
    """Measure each load, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--code", type=Path, default=REPOSITORY)
    parser.add_argument("--connections", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    print("| load | pings | p50 s | p95 s | worst s |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        write_colour_model(Path(folder))
        for name, (first, again) in LOADS.items():
            with serving(options.code, Path(folder)) as port:
                count = options.connections if again else 0
                load = multiprocessing.Process(
                    target=send_for_ever, args=(port, count, first, again), daemon=True
                )
                load.start()
                time.sleep(1)
                taken = sorted(pings(port, options.seconds))
                load.kill()
                load.join()
            p95 = taken[int(len(taken) * 0.95)]
            print(
                f"| {name} | {len(taken)} | {statistics.median(taken):.3f} | {p95:.3f} "
                f"| {taken[-1]:.3f} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
