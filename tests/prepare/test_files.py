"""Files that are no regular photos, and names that would be lines of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from artifact.photos.decoder import read_photo
from artifact.photos.files import read_regular
from artifact.photos.kinds import PhotoError
from prepare.__main__ import main
from prepare.convert import convert
from tests.support.jobs import REPOSITORY
from tests.support.servers import photo

FORGED = "x\nprepare: photos=9 train=9\x1b[2J\u202e.jpg"
TEXT = "it is text, not a photo"
DRAWING = "it is a drawing, not a photo; export it as PNG"
SHOWN = "x\\nprepare: photos=9 train=9\\x1b[2J\\u202e.jpg"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two classes of three photos each."""
    folder = tmp_path / "photos"
    for name in ("blue", "red"):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            data = photo(name, size=(30 + number, 30))
            (folder / name / f"{number}.jpg").write_bytes(data)
    return folder


def peak_mb(*arguments: object) -> tuple[list[str], float]:
    """The output's lines of a preparation in a process of its own, and the peak of its memory.

    The peak is of the largest of its processes.
    """
    program = (
        "import re, resource, sys\n"
        "from prepare.__main__ import main\n"
        "code = main(sys.argv[1:])\n"
        "own = int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
        "workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n"
        "print('peak', max(own, workers) // 1024)\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
        timeout=60,
    )
    *lines, last = done.stdout.decode("utf-8").splitlines()
    return lines, float(last.removeprefix("peak "))


@pytest.mark.slow
def test_what_is_no_regular_file_is_left_out(source, tmp_path):
    os.mkfifo(source / "red" / "fifo.jpg")
    (source / "red" / "zero.jpg").symlink_to("/dev/zero")
    (source / "red" / "script.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n")
    with open(source / "red" / "huge.jpg", "wb") as file:
        file.truncate(3 * 1024**3)  # sparse: no byte of it is on the disk
    lines, peak = peak_mb(source, tmp_path / "out", "--workers", "1")
    assert lines[:4] == [
        "prepare: left out: 'red/fifo.jpg': it is not a regular file",
        "prepare: left out: 'red/zero.jpg': it is not a regular file",
        "prepare: broken, left out: 'red/huge.jpg': "
        "it has 3,221,225,472 bytes; at most 536,870,912 are accepted",
        f"prepare: broken, left out: 'red/script.jpg': {DRAWING}",
    ]
    assert lines[4].startswith("prepare: photos=6 ")
    assert peak < 200  # of which Python, numpy and Pillow are 60


def test_a_name_is_no_line_of_its_own(source, tmp_path, capsys):
    (source / "red" / FORGED).write_bytes(b"no photo")
    not_utf8 = source / "red" / os.fsdecode(b"\xff.jpg")
    not_utf8.write_bytes(b"no photo")
    assert main([str(source), str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        f"prepare: broken, left out: 'red/{SHOWN}': {TEXT}",
        f"prepare: broken, left out: 'red/\\udcff.jpg': {TEXT}",
    ]
    assert len(lines) == 3


def test_a_failure_quotes_names_in_printable(source, tmp_path, capsys):
    (source / "red" / FORGED).write_bytes(b"no photo")
    assert main([str(source), str(tmp_path / "out"), "--on-bad", "fail"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert SHOWN in line


def test_a_class_is_named_in_printable(source, tmp_path, capsys):
    (source / "red").rename(source / "r\x1bed")
    (source / "blue").rename(tmp_path / "blue")
    assert main([str(source), str(tmp_path / "out")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "'r\\x1bed'" in line


@pytest.mark.parametrize("kind", ["fifo", "device", "link to a device", "socket's place"])
def test_only_regular_files_are_read(kind, tmp_path):
    path = tmp_path / "x.jpg"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises((PhotoError, IsADirectoryError)):
        read_regular(path)
    if path.is_dir():
        with pytest.raises(IsADirectoryError):
            convert(path, tmp_path / "out.jpg")
    else:
        assert isinstance(convert(path, tmp_path / "out.jpg"), str)
    with pytest.raises(PhotoError, match="x.jpg|zero"):
        read_photo(path)


@pytest.mark.parametrize("size, taken", [(100, True), (101, False)])
def test_a_file_has_a_largest_size(size, taken, tmp_path):
    path = tmp_path / "x.jpg"
    path.write_bytes(bytes(size))
    if taken:
        assert read_regular(path, 100) == bytes(size)
        return
    with pytest.raises(PhotoError, match="it has 101 bytes; at most 100 are accepted"):
        read_regular(path, 100)


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "x.jpg"
    path.write_bytes(bytes(50))
    status = os.stat(path)
    path.write_bytes(bytes(300))
    monkeypatch.setattr(os, "fstat", lambda descriptor: status)
    with pytest.raises(PhotoError, match="at most 100"):
        read_regular(path, 100)
