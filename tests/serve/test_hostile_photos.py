"""A server's memory and its log while small files come that once cost gigabytes."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from artifact.photos.formats import FORMATS
from artifact.photos.kinds import KINDS
from local_test.hostile_photos import HEAVY, NEVER_OPENED, strips
from serve.inputs import PHOTO_TYPES, media_type_of
from tests.support.servers import photo, serving
from web.photos import kind_of

GROWTH_MB = 250  # bodies of 6 MB that arrive together are there twice, for a moment
AT_ONCE = 8


def peak_mb(pid: int) -> float:
    """The most memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+)", status)
    assert found
    return int(found[1]) / 1024


@pytest.mark.slow
def test_small_files_take_no_memory_and_write_no_lines_of_their_own(colours, capfd):
    octets = "application/octet-stream"
    with serving(colours.model) as server:
        assert server.label(photo("red")) == "red"
        (worker,) = server.workers()
        before = peak_mb(worker)
        files = [*HEAVY.values(), *NEVER_OPENED.values(), *[strips(700_000)] * AT_ONCE]
        with ThreadPoolExecutor(AT_ONCE) as clients:
            answers = list(clients.map(lambda data: server.invoke(data, octets), files))
        assert {status for status, _ in answers} == {422}
        assert all("the photo cannot be used" in answer["error"] for _, answer in answers)
        assert server.label(photo("blue")) == "blue"
        assert server.workers() == [worker]
        assert peak_mb(worker) - before < GROWTH_MB
    written, complaints = capfd.readouterr()
    assert complaints == ""
    for line in written.splitlines():
        assert re.match(r"\d{4}-\d\d-\d\d ", line) or json.loads(line)["path"] == "/invocations"


def test_every_format_that_is_opened_has_a_type_to_be_sent_as():
    """At the endpoint and through the page, which looks at the first bytes itself."""
    assert [kind.name for kind in KINDS] == list(FORMATS)
    for kind in KINDS:
        assert kind.media_types[0] in PHOTO_TYPES
        assert {media_type_of(name) for name in kind.media_types} == {kind.media_types[0]}
        assert kind_of(photo("red", kind.name)) == kind.media_types[0]
