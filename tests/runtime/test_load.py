"""Requests at given moments, whether or not earlier answers are there."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from runtime.load import Request, arrive

TOGETHER = 3


class Together(BaseHTTPRequestHandler):
    """Answers once three requests wait at the same time."""

    protocol_version = "HTTP/1.1"
    barrier = threading.Barrier(TOGETHER, timeout=60)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.barrier.wait()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_requests_do_not_wait_for_each_other():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Together)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        found = arrive(url, [0.0, 0.01, 0.02, 0.1, 0.1, 0.1], lambda: Request("one", b"x"))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert found.statuses == {200: 6}
    assert found.seconds >= 0.1
