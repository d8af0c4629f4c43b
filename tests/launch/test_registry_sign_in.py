"""Where a registry may send this machine, with docker's login, for a token: itself, or nowhere."""

import base64
import json

import pytest

from launch.errors import LaunchError
from launch.registry import LARGEST_ANSWER, HttpRegistry, check_realm
from tests.launch.test_registry import Registry
from tests.support.aws import running_server

LOGIN = base64.b64encode(b"user:secret").decode()
TOKEN = json.dumps({"token": "t"}).encode()


@pytest.fixture(autouse=True)
def login(tmp_path, monkeypatch):
    """docker has a login for every registry of a test."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    def write(host: str) -> None:
        document = {"auths": {host: {"auth": LOGIN}}}
        (tmp_path / "config.json").write_text(json.dumps(document))

    return write


@pytest.mark.parametrize(
    "realm",
    [
        "http://registry.example/token",
        "https://evil.example/token",
        # The registry's name at the beginning of another.
        "https://registry.example.evil.example/token",
        "https://registry.example:8443/token",
        # What stands before @ is a user, not the host.
        "https://registry.example@evil.example/token",
        "https://evil.example\\@registry.example/token",
        # A service of this machine.
        "http://127.0.0.1:9/token",
        # Where clouds keep the credentials of their machines.
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "ftp://registry.example/token",
        "//registry.example/token",
        "https:///token",
        "https://[registry.example/token",
        "/token",
        "",
    ],
)
def test_a_realm_elsewhere_is_refused(realm):
    with pytest.raises(LaunchError, match="nothing was sent there"):
        check_realm(realm, "registry.example")


def test_its_own_and_the_declared_host_are_asked_by_https(monkeypatch):
    check_realm("https://registry.example/token", "registry.example")
    check_realm("https://Registry.Example/token", "registry.example")
    with pytest.raises(LaunchError, match="REGISTRY_TOKEN_HOST names"):
        # Some registries have their tokens made elsewhere: the user must say so.
        check_realm("https://auth.example/token", "registry.example")
    monkeypatch.setenv("REGISTRY_TOKEN_HOST", "auth.example")
    check_realm("https://auth.example/token", "registry.example")
    with pytest.raises(LaunchError):
        check_realm("http://auth.example/token", "registry.example")


def test_a_registry_on_loopback_may_name_itself_by_http():
    check_realm("http://localhost:5000/token", "localhost:5000")
    check_realm("http://127.0.0.1:5000/token", "127.0.0.1:5000")
    # Another port, or another name, is another server.
    for other in ("http://localhost:5001/token", "http://127.0.0.1:5000/token"):
        with pytest.raises(LaunchError):
            check_realm(other, "localhost:5000")


def test_nothing_reaches_the_host_of_a_foreign_realm(login):
    with running_server(Registry((200, {}, TOKEN))) as other:
        bearer = {"WWW-Authenticate": f'Bearer realm="http://{other.host}/token",service="me"'}
        with running_server(Registry((401, bearer, b""))) as server:
            login(server.host)
            with pytest.raises(LaunchError, match="nothing was sent there"):
                HttpRegistry(server.host).manifest("a", "1")
    # Not even a request came there.
    assert other.asked == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_takes_no_login_elsewhere(login, status):
    """Neither of the token's host, nor of the registry itself once it has the token."""
    bearer = {"WWW-Authenticate": 'Bearer realm="http://HOST/token",service="me"'}
    with running_server(Registry((200, {}, TOKEN), (200, {}, b"{}"))) as other:
        away = {"Location": f"http://{other.host}/token"}
        for answers in (
            [(401, bearer, b""), (status, away, b"")],
            [(401, bearer, b""), (200, {}, TOKEN), (status, away, b"")],
        ):
            with running_server(Registry(*answers)) as server:
                login(server.host)
                with pytest.raises(LaunchError, match=str(status)):
                    HttpRegistry(server.host).manifest("a", "1")
    assert other.asked == []


@pytest.mark.parametrize("token", [b"", b"[]", b"{}", b"[" * 100_000, b"\xff"])
def test_an_answer_that_is_no_token_is_one_sentence(login, token):
    bearer = {"WWW-Authenticate": 'Bearer realm="http://HOST/token",service="me"'}
    with running_server(Registry((401, bearer, b""), (200, {}, token))) as server:
        login(server.host)
        with pytest.raises(LaunchError, match="/token' gave no token for '"):
            HttpRegistry(server.host).manifest("a", "1")


def test_no_answer_fills_the_memory():
    answer = b" " * (LARGEST_ANSWER + 1)
    with (
        running_server(Registry((200, {}, answer))) as server,
        pytest.raises(LaunchError, match="answered with more than 4 MB"),
    ):
        HttpRegistry(server.host).manifest("a", "1")
