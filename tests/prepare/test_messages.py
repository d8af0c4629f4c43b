"""What a preparation prints: its end, its errors, its progress, word by word."""

import errno
import os
import sys
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

import pytest

from prepare import __main__ as command
from prepare import build
from prepare.converted import Converted
from prepare.options import Options
from prepare.progress import progress
from prepare.scan import PrepareError, Scan, Source
from prepare.summary import Summary
from tests.support.preparations import PHOTO, summary


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full: No space left on device: 'f'"),
        (errno.EDQUOT, "the disk is full: Disk quota exceeded: 'f'"),
        (errno.EACCES, "Permission denied: 'f'"),
    ],
)
def test_a_disks_error_is_one_sentence(tmp_path, monkeypatch, capsys, number, words):
    def fail(options: Options) -> Summary:
        raise OSError(number, os.strerror(number), "f")

    monkeypatch.setattr(command, "prepare", fail)
    assert command.main([str(tmp_path / "in"), str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == f"prepare: failed: {words}\n"


def test_the_path_of_an_error_is_the_target_or_the_destination(tmp_path):
    options = Options(tmp_path / "in", tmp_path / "out")
    # Of a rename the place that could not be made counts.
    renamed = OSError(errno.EACCES, "Permission denied", "from", None, "to")
    assert command._disk_reason(renamed, options) == "Permission denied: 'to'"
    assert command._disk_reason(OSError("odd"), options) == f"odd: '{tmp_path}/out'"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted; run it again to complete the destination"),
        (PrepareError("no photos"), 1, "no photos"),
        (BrokenProcessPool(), 1, "a worker was killed, most likely for lack of memory"),
    ],
)
def test_each_end_has_its_code(tmp_path, monkeypatch, capsys, error, code, words):
    def fail(options: Options) -> Summary:
        raise error

    monkeypatch.setattr(command, "prepare", fail)
    assert command.main([str(tmp_path / "in"), str(tmp_path / "out")]) == code
    assert capsys.readouterr().err.startswith(f"prepare: failed: {words}")


def test_the_last_lines_word_by_word(tmp_path, capsys):
    options = Options(tmp_path / "in", tmp_path / "out")
    one = summary(presplit=True, broken={"a/1": "torn"}, warnings=("few photos",))
    command._print_summary(one, options)
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "prepare: broken, left out: 'a/1': torn",
        "prepare: the source is split already; its split is kept, --split does not apply",
        "prepare: no photos in validation",
        "prepare: photos=4 train=3 validation=0 test=1 broken=1 duplicates=0 "
        f"report={tmp_path}/out/report.html",
    ]
    assert printed.err == "prepare: warning: few photos\n"
    full = summary(by_split={"train": 2, "validation": 1, "test": 1})
    command._print_summary(full, options)
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 1
    assert printed.err == ""


def test_five_broken_photos_are_named(tmp_path):
    options = Options(tmp_path / "in", tmp_path / "out", on_bad="fail")
    sources = [Source(f"a/{number}", "a") for number in range(7)]
    broken = {source: "torn" for source in sources[:6]}
    found = Scan(sources)
    converted = Converted({}, {}, {sources[6]: PHOTO}, broken, found)
    with pytest.raises(PrepareError) as caught:
        build.check(options, converted)
    assert str(caught.value).startswith("6 broken photos (--on-bad skip leaves them out): 'a/0'")
    assert str(caught.value).count("torn") == 5
    build.check(replace(options, on_bad="skip"), converted)
    build.check(options, Converted({}, {sources[6]: PHOTO}, {}, {}, found))
    with pytest.raises(PrepareError, match="none of the 7 files under"):
        skip = replace(options, on_bad="skip")
        build.check(skip, Converted({}, {}, {}, broken, found))


# Tools that look at times must see no change.
def test_a_file_with_the_same_bytes_keeps_its_time(tmp_path):
    path = tmp_path / "list"
    build._write_changed(path, b"one", tmp_path)
    os.utime(path, (1, 1))
    build._write_changed(path, b"one", tmp_path)
    assert path.stat().st_mtime == 1
    build._write_changed(path, b"two", tmp_path)
    assert path.read_bytes() == b"two"


def test_progress_has_a_line_every_five_seconds(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("recipes.progress.time.monotonic", lambda: now[0])
    # A terminal would get a line that is overwritten.
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    shown = []
    # Only after five seconds is there a line, and at the end.
    for item, moment in zip(progress("abcd", "reading", 4), (5.0, 5.1, 10.1, 10.2), strict=True):
        shown.append(item)
        now[0] = moment
    assert shown == list("abcd")
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "prepare: reading, 2 of 4 photos, 0.4 photos/s, 5 s left"
    assert said[1].startswith("prepare: reading, 4 of 4 photos, ")
    assert len(said) == 2
