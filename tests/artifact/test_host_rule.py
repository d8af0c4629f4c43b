"""The rule for Host, Origin and Referer: which requests a server on this machine answers."""

import pytest

from artifact.host.host_rule import HostRule, is_loopback

RULE = HostRule.of("192.0.2.7", ["Photos.example", "172.17.0.1"], "--allow-host")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8090",
        "127.0.0.1",
        "127.8.9.1:80",
        "localhost:8090",
        "LOCALHOST",
        "localhost.:8090",
        "[::1]:8090",
        "192.0.2.7:8090",
        "photos.example:8090",
        "PHOTOS.example.",
        "172.17.0.1:8090",
    ],
)
def test_the_servers_own_names_are_answered(host):
    assert RULE.refusal(host, None, None) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8090",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.localhost",
        "127.0.0.1@evil.example",
        "evil.example@127.0.0.1",
        "127.0.0.1,evil.example",
        "127.0.0.1 evil.example",
        "127.0.0.1:8090:1",
        "127.0.0.1:",
        "0.0.0.0:8090",
        "[::]:8090",
        "[::1",
        "192.0.2.8",
        "127.1",
        "2130706433",
        "localhost\n",
        "localhost/x",
        "ⓛocalhost",
    ],
)
def test_another_host_is_refused(host):
    sentence = RULE.refusal(host, None, None)
    assert sentence is not None
    assert "is not this server's" in sentence
    assert "--allow-host" in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "page",
    [
        "http://127.0.0.1:8090",
        "http://localhost:8090/page?x=1",
        "http://[::1]:8090/",
        "https://photos.example:8090",
    ],
)
def test_pages_of_the_server_itself_may_ask_it(page):
    assert RULE.refusal("127.0.0.1:8090", page, page) is None


@pytest.mark.parametrize(
    "page",
    [
        "null",
        "",
        "http://evil.example",
        "http://evil.example:8090",
        "http://127.0.0.1:3000",  # another server of this machine
        "http://127.0.0.1",
        "file:///home/page.html",
        "chrome-extension://127.0.0.1:8090",
        "http://127.0.0.1:8090@evil.example",
        "http://127.0.0.1:8090, http://evil.example",
        "//127.0.0.1:8090",
        "http://[::1",
        "http://127.0.0.1:99999999",
    ],
)
@pytest.mark.parametrize("header", ["Origin", "Referer"])
def test_a_foreign_page_is_refused(page, header):
    origin = page if header == "Origin" else None
    referer = page if header == "Referer" else None
    sentence = RULE.refusal("127.0.0.1:8090", origin, referer)
    assert sentence is not None
    assert sentence.startswith(f"the {header} ")


def test_the_usual_ports_need_not_be_written():
    assert RULE.refusal("photos.example", "https://photos.example", None) is None
    assert RULE.refusal("photos.example:80", "http://photos.example", None) is None
    assert RULE.refusal("photos.example:8090", "https://photos.example", None) is not None


def test_loopback_is_known_without_dns():
    assert is_loopback("127.0.0.1") and is_loopback("::1") and is_loopback("localhost")
    assert not is_loopback("0.0.0.0") and not is_loopback("") and not is_loopback("evil.example")
