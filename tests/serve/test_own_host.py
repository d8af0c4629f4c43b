"""Which servers hold themselves to the rule for Host and Origin, and what they take for a host."""

import pytest

from artifact.host.host_rule import HostRule
from serve.settings import ServingSettings
from serve.wsgi import refusal

RULE = HostRule.of("127.0.0.1", [], "SLIPWAY_ALLOW_HOST")


@pytest.mark.parametrize(
    "environment, held",
    [
        ({"SLIPWAY_HOST": "127.0.0.1"}, True),
        ({"SLIPWAY_HOST": "localhost"}, True),
        ({"SLIPWAY_HOST": "::1"}, True),
        ({"SLIPWAY_HOST": "0.0.0.0"}, False),
        # Our images, even with a test's address: which Host SageMaker sends is not documented.
        ({"SLIPWAY_HOST": "127.0.0.1", "SLIPWAY_COMMAND": "serve"}, False),
        ({"SLIPWAY_HOST": "0.0.0.0", "SLIPWAY_COMMAND": "serve"}, False),
    ],
)
def test_a_server_on_loopback_outside_our_images_is_held_to_the_rule(environment, held):
    assert (ServingSettings.read(environment).hosts is not None) == held


def test_further_names_are_allowed():
    given = {"SLIPWAY_HOST": "127.0.0.1", "SLIPWAY_ALLOW_HOST": "photos.example, other.example"}
    rule = ServingSettings.read(given).hosts
    assert rule is not None
    for host in ("photos.example", "other.example:80", "localhost"):
        assert rule.refusal(host, f"http://{host}", None) is None
    assert "SLIPWAY_ALLOW_HOST" in str(rule.refusal("evil.example", None, None))


def scope(target: str, *headers: tuple[str, str]) -> dict:
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    return {"raw_path": target.encode(), "headers": pairs}


@pytest.mark.parametrize(
    "target, headers, fine",
    [
        ("/ping", [("host", "localhost:8080")], True),
        ("/ping", [], False),
        ("/ping", [("host", "evil.example")], False),
        ("/ping", [("host", "localhost"), ("host", "evil.example")], False),
        ("/a://localhost/", [("host", "evil.example")], False),
        ("http://localhost:8080/ping", [("host", "evil.example")], True),  # RFC 9112, 3.2.2
        ("http://evil.example/ping", [("host", "localhost")], False),
        ("http://evil.example@localhost/ping", [("host", "localhost")], False),
        ("/ping", [("host", "localhost"), ("origin", "null")], False),
        ("/ping", [("host", "localhost"), ("referer", "http://evil.example/")], False),
        ("/ping", [("host", "localhost"), ("origin", "http://localhost")], True),
    ],
)
def test_the_host_of_a_request(target, headers, fine):
    assert (refusal(RULE, scope(target, *headers)) is None) == fine
