"""A server's address: a port that is taken, and proxies that must not stand before loopback."""

import http.server
import os
import socket
import subprocess
import sys
import threading

import pytest

from artifact.host.listening import LOOPBACK, PortTaken, ask_loopback_directly, bypassed, check_free
from runtime import docker
from runtime.ports import free_port
from tests.support.jobs import REPOSITORY


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_a_taken_port_is_named_with_what_gives_another(host):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            check_free(host, port, "--port")
    sentence = f"port {port} of {host} is taken by another program; give another with --port"
    assert str(caught.value) == sentence
    check_free(host, port, "--port")


@pytest.mark.parametrize("port", [70000, -1])
def test_a_port_that_cannot_be_is_refused_too(port):
    with pytest.raises(PortTaken, match=f"port {port} of 127.* cannot be taken .*; give another"):
        check_free("127.0.0.1", port, "--port")


@pytest.mark.parametrize("host", ["203.0.113.1", "no name"])
def test_a_host_of_another_machine_is_not_blamed_on_the_port(host):
    with pytest.raises(PortTaken, match=f"this machine has no address '{host}' "):
        check_free(host, 8080, "--port")


@pytest.mark.parametrize(
    "given, expected",
    [
        ({}, {}),
        ({"https_proxy": "http://p"}, "localhost,127.0.0.1,::1"),
        ({"HTTP_PROXY": "http://p", "NO_PROXY": "a, b"}, "a,b,localhost,127.0.0.1,::1"),
        ({"ALL_PROXY": "http://p", "no_proxy": "127.0.0.1"}, "127.0.0.1,localhost,::1"),
        ({"HTTP_PROXY": ""}, {}),
    ],
)
def test_loopback_is_excepted_where_there_is_a_proxy(given, expected):
    environment = dict(given)
    ask_loopback_directly(environment)
    if not expected:
        assert environment == given
    else:
        assert environment["no_proxy"] == environment["NO_PROXY"] == expected


def test_further_hosts_are_excepted_for_containers(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert docker.excepted_from_proxies() == ""
    (tmp_path / "config.json").write_text('{"proxies": {"default": {"noProxy": "*.example.org"}}}')
    found = bypassed({"NO_PROXY": docker.excepted_from_proxies()}, "172.17.0.1")
    assert found["no_proxy"] == ",".join(["*.example.org", *LOOPBACK, "172.17.0.1"])


@pytest.fixture
def url():
    """A server of this machine that answers everything with 200."""

    class Fine(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Fine)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_program_asks_this_machine_past_a_proxy(url):
    """By the parser that every command has. Without it, the request goes to the proxy."""
    script = f"""
import sys
from recipes.command_line import CommandLine
from runtime.probes import ping
before = ping({url!r})
CommandLine(prog="any").parse_args([])
print(before, ping({url!r}))
"""
    names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY")
    proxy = f"http://127.0.0.1:{free_port()}"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env={
            **{name: text for name, text in os.environ.items() if name.lower() != "no_proxy"},
            **dict.fromkeys(names, proxy),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0 200\n"
