"""A web page whose name leads to this machine (DNS rebinding), in a real browser."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.browser import browsing
from tests.support.sagemakers import asked, local_sagemaker, moto
from tests.support.servers import photo

pytestmark = pytest.mark.slow

NAME = "evil.example"  # the browser takes it for 127.0.0.1, as after a rebinding
START = "/page-of-the-attacker"
# What a page tries: a simple request of its own origin, with each answer's status and text.
ASK = """
(async () => {
  const ask = async (method, path, type, body) => {
    const answer = await fetch(path, {method, headers: {'Content-Type': type}, body});
    return {status: answer.status, text: await answer.text()};
  };
  return JSON.stringify(await ask(...%s));
})()
"""
SAGEMAKER = "application/x-amz-json-1.1"


@pytest.fixture(scope="module")
def rebound(tmp_path_factory):
    """A browser for which the name is this machine."""
    profile = tmp_path_factory.mktemp("rebound")
    flags = (
        f"--host-resolver-rules=MAP {NAME} 127.0.0.1",
        # New browsers hold some of this back themselves; others, and older ones, do not.
        "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
    )
    with browsing(profile, *flags) as running:
        # The attacker's server gave this page before its name was led to this machine.
        running.fulfil[START] = (200, "{}")
        running.call("Fetch.enable", patterns=[{"urlPattern": f"*{START}"}])
        yield running


class Page(http.server.BaseHTTPRequestHandler):
    """The attacker's page, which any path shows."""

    def do_GET(self) -> None:
        body = b"<!doctype html><title>page</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def page_at(port: int = 0) -> Iterator[int]:
    """The page's port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def answer_to_page(browser, port: int, method: str, path: str, kind: str, body: str | None):
    """What a page at the name gets from the server on a port: its own origin after a rebinding."""
    browser.open(f"http://{NAME}:{port}{START}")
    assert browser.run("location.origin") == f"http://{NAME}:{port}"
    arguments = json.dumps([method, path, kind, body])
    answer = json.loads(browser.run(ASK % arguments))
    return answer["status"], answer["text"]


def test_the_browser_takes_the_name_for_this_machine(rebound):
    """Without this the other tests would prove nothing."""
    with page_at() as port:
        rebound.open(f"http://{NAME}:{port}/")
        assert rebound.run("document.title") == "page"
        assert rebound.run("location.origin") == f"http://{NAME}:{port}"


def test_a_rebound_page_reaches_no_photo_server(rebound, server):
    for method, path in (("GET", "/ping"), ("GET", "/labels"), ("GET", "/sample")):
        status, text = answer_to_page(rebound, server.port, method, path, "text/plain", None)
        assert status == 403
        assert "is not this server's" in text
    status, _ = answer_to_page(rebound, server.port, "POST", "/invocations", "image/jpeg", "x")
    assert status == 403
    assert server.invoke(photo())[0] == 200  # its own user is answered as before


def test_a_page_of_another_port_reaches_no_photo_server(rebound, server):
    """No rebinding: the page asks 127.0.0.1 from its own origin, and cannot read, but might do."""
    with page_at() as port:
        rebound.open(f"http://127.0.0.1:{port}/")
        url = f"http://127.0.0.1:{server.port}/invocations"
        rebound.run(f"fetch({url!r}, {{method: 'POST', mode: 'no-cors', body: 'x'}}).then(() => 1)")
    metrics = server.ask("GET", "/metrics")[2]
    [line] = [line for line in metrics.splitlines() if b'reason="foreign"' in line]
    assert float(line.split()[-1]) >= 1
    for page in (f"http://127.0.0.1:{port}", "null"):
        assert server.ask("POST", "/invocations", photo(), {"Origin": page})[0] == 403
        assert server.ask("GET", "/ping", None, {"Referer": page})[0] == 403
    own = f"http://localhost:{server.port}"
    headers = {"Origin": own, "Referer": f"{own}/", "Content-Type": "image/jpeg"}
    assert server.ask("POST", "/invocations", photo(), headers)[0] == 200


def test_a_rebound_page_reaches_neither_sagemaker_nor_moto(rebound, tmp_path):
    with moto() as moto_url, local_sagemaker(tmp_path / "state", moto_url) as cloud:
        for url in (cloud.url, moto_url):
            port = int(url.rpartition(":")[2])
            for method, path in (
                ("GET", "/"),
                ("POST", "/"),
                ("POST", "/local/training-jobs/a/interrupt"),
                ("POST", "/endpoints/a/invocations"),
                ("POST", "/moto-api/reset"),
            ):
                body = None if method == "GET" else "{}"
                status, text = answer_to_page(rebound, port, method, path, SAGEMAKER, body)
                assert (status, json.loads(text)["__type"]) == (403, "AccessDeniedException")
        assert asked(cloud, "GET", "/", b"", {})[1]["__type"] == "MissingAuthenticationToken"
