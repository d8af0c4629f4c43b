"""A small collector of traces, as OTLP over HTTP speaks to it."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector(
    answers: bool, host: str = "127.0.0.1"
) -> Iterator[tuple[str, list[bytes], threading.Event]]:
    """A collector's URL, what it got, and the event of its first request. It may never answer."""
    received: list[bytes] = []
    came = threading.Event()
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            came.set()
            if not answers:
                over.wait()
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer((host, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{host}:{server.server_port}", received, came
    finally:
        over.set()
        server.shutdown()
        server.server_close()
