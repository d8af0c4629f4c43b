"""When a server counts as ready: only while its address is its own."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from conformance.server import Server
from conformance.targets import Program, Sandbox
from runtime.instances import Instance

WAIT_S = 0.5


class Neighbour(BaseHTTPRequestHandler):
    """Answers every ping."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Moved(Program):
    """A program that still runs. Its address has gone to a neighbour since it was first read."""

    def __init__(self, command: str, home, addresses: list[str | None]) -> None:
        super().__init__(command, home)
        self.addresses = addresses

    def url(self, instance: Instance, sandbox: Sandbox) -> str | None:
        if len(self.addresses) > 1:
            return self.addresses.pop(0)
        return self.addresses[0]


@pytest.fixture
def neighbour():
    with ThreadingHTTPServer(("127.0.0.1", 0), Neighbour) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def wait_at(addresses: list[str | None], tmp_path) -> bool:
    target = Moved("{python} -c 'import time; time.sleep(60)'", tmp_path, addresses)
    instance = target.start("serve", tmp_path, Sandbox(), print)
    try:
        server = Server(target, instance, Sandbox(), [], tmp_path, {})
        return server.wait_ready(WAIT_S, 2)
    finally:
        instance.kill()


def test_a_server_whose_address_went_to_another_is_not_ready(neighbour, tmp_path):
    assert not wait_at([neighbour, None], tmp_path)


def test_a_server_at_its_own_address_is_ready(neighbour, tmp_path):
    assert wait_at([neighbour], tmp_path)
