"""Labels as people write them, and Wikipedia's words about them."""

import http.server
import json
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.aws import running_server
from web import wikipedia
from web.legacy_yoga_api import spoken


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("001.Afghan_hound", "Afghan hound"),
        ("ArdhaChandrasana", "Ardha Chandrasana"),
        ("Downward_dog", "Downward dog"),
        ("red", "red"),
    ],
)
def test_labels_are_spoken_as_people_write_them(label, words):
    assert spoken(label) == words


def test_wikipedias_words_are_taken_as_it_gives_them(monkeypatch):
    monkeypatch.setitem(wikipedia._pause, "until", 0.0)
    asked = []

    class Encyclopedia(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = {
                name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()
            }
            asked.append((query["gsrsearch"], self.headers["User-Agent"]))
            pages = (
                {"query": {"pages": [{"title": "Red", "extract": "Red is a colour.\n"}]}}
                if query["gsrsearch"] == "red"
                else {"batchcomplete": True}
            )
            body = json.dumps(pages).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with running_server(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Encyclopedia)) as running:
        address = f"http://127.0.0.1:{running.server_port}/"
        for _ in range(2):  # the second is remembered
            assert wikipedia.summary_of("red", address) == ("Red", "Red is a colour.")
        assert wikipedia.summary_of("qwertz", address) == ("", "")
        assert len(asked) == 2
        assert "slipway" in asked[0][1]
    assert wikipedia.summary_of("green", address) == ("", "")
    assert wikipedia._pause["until"] > time.monotonic()
