"""The fuzzers' fixed part: the same hostile photos and requests in each run of the tests.

`make fuzz` goes on with others. Memory is held to the fuzzer's bound; time to a multiple of it,
because the machine may be busy.
"""

import json
import os

import pytest

from artifact.photos.kinds import PhotoError
from tests.fuzz import __main__ as fuzz
from tests.fuzz import watch
from tests.fuzz.corpus import FORMATS, corpus
from tests.fuzz.mutations import case
from tests.fuzz.parsers import REQUESTS, parse, request_case
from tests.fuzz.runner import costs
from tests.fuzz.watch import SLACK_MB, Cost, measured

SEED = 18
PHOTOS = 250
CASES = 2000
MOST_S = 20.0


@pytest.mark.slow
def test_hostile_photos_take_no_more_than_their_pixels_need():
    found = {}
    for cost in costs(SEED, 0, PHOTOS):
        allowed = cost.outcome in ("photo", "refused") and cost.seconds < MOST_S
        if cost.extra_mb > SLACK_MB or not allowed:
            found[cost.number] = cost
    assert found == {}


def test_hostile_requests_are_read_or_refused():
    for header, body in REQUESTS:
        parse(header, body)
    for number in range(CASES):
        parse(*request_case(SEED, number))


def test_the_first_photos_are_photos():
    for name in FORMATS:
        for data in corpus()[name]:
            assert measured(0, name, data).outcome == "photo", name


def test_a_seed_gives_the_same_photos():
    assert [case(1, number) for number in range(5)] == [case(1, number) for number in range(5)]
    assert case(1, 0) != case(2, 0)
    assert case(1, 0, "GIF")[0] == "GIF"


def test_a_decoder_that_takes_memory_fails_or_crashes_is_found(monkeypatch):
    """The fuzzer itself: it must see what it is there for."""

    def takes_memory(data: bytes, max_pixels: int) -> None:
        raise PhotoError(f"{len(bytearray(100 * 2**20))} bytes of no use")

    def fails(data: bytes, max_pixels: int) -> None:
        raise KeyError("a tag")

    def crashes(data: bytes, max_pixels: int) -> None:
        os._exit(9)

    for decoder, words in (
        (takes_memory, "MB more than its pixels need"),
        (fails, "it ended in KeyError: 'a tag'"),
        (crashes, "it ended in the end of the process (9)"),
    ):
        monkeypatch.setattr(watch, "decode", decoder)
        found = [cost.finding() for cost in costs(SEED, 0, 2)]
        assert len(found) == 2
        assert all(words in finding for finding in found), found


def test_findings_are_told_and_kept(tmp_path, capsys):
    report = fuzz.Report(tmp_path / "out", SEED, "")
    name, data = case(SEED, 7)
    report.add(Cost(7, name, len(data), "refused", 100, 65.0, 0.1))
    report.add(Cost(8, name, 1, "photo", 100, 1.0, 2.1))
    report.add(Cost(9, name, 1, "end of the process (-11)", 0, 0.0, 0.0))
    report.add(Cost(10, name, 1, "photo", 100, 1.0, 0.1))
    kept = json.loads((tmp_path / "out/findings.json").read_text())
    assert [entry["finding"] for entry in kept] == [
        "it took 65 MB more than its pixels need",
        "it took 2.1 s of the processor",
        "it ended in end of the process (-11)",
    ]
    assert (tmp_path / "out" / kept[0]["file"]).read_bytes() == data
    assert "findings=3" in report.line()
    assert "runs=4 photos=2 refused=1 worst=65 MB" in report.line()


def test_a_run_without_findings_ends_with_0(tmp_path):
    valid = ["--runs", "0", "--seconds", "0", "--out", str(tmp_path / "out")]
    assert fuzz.main(valid) == 0
    assert not (tmp_path / "out").exists()
