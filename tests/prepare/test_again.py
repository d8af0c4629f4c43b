"""Preparing again: nothing changed, something changed, killed in between, no room left."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from prepare.__main__ import main
from tests.support.jobs import REPOSITORY
from tests.support.photo_folders import photos, picture, run, save, tree

# a shell's background job ignores Ctrl-C, and so would its children
LISTENING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def times(out: Path) -> dict[Path, int]:
    """When each training photo was written."""
    return {path: path.stat().st_mtime_ns for path in (out / "train").rglob("*.jpg")}


def big_photos(folder: Path, count: int, size: tuple[int, int]) -> list[Path]:
    """Photos that take long to decode."""
    paths = [folder / f"big {index}.png" for index in range(count)]
    for index, path in enumerate(paths):
        save(path, picture(500 + index, "RGBA", size), compress_level=1)
    return paths


def many_big_photos(source: Path) -> Path:
    """Photos whose conversion takes seconds; few of them differ."""
    for path in big_photos(source / "a", 4, (800, 600)):
        for number in range(50):
            shutil.copy(path, path.with_name(f"copy {number} of {path.name}"))
    return source


def start(source: Path, out: Path, *python_options: str, **options) -> subprocess.Popen:
    """`python -m prepare` in a process group of its own."""
    command = [sys.executable, *python_options, "-m", "prepare", str(source), str(out)]
    command += ["--workers", "2"]
    return subprocess.Popen(command, cwd=REPOSITORY, start_new_session=True, **options)


def test_again_changes_nothing_and_decodes_nothing(tmp_path):
    source = photos(tmp_path / "in", a=6, b=6)
    out = tmp_path / "out"
    save(source / "a/alpha.png", picture(50, "RGBA"))
    run(source, out)
    before = tree(out)
    written = times(out)
    assert run(source, out) == 0
    assert tree(out) == before
    assert times(out) == written
    fresh = tmp_path / "fresh"
    main([str(source), str(fresh), "--workers", "1"])
    assert {name: digest for name, digest in tree(fresh).items()} == before


@pytest.mark.slow
def test_changes_of_sources_and_options_are_followed(tmp_path):
    source = photos(tmp_path / "in", a=10, b=10)
    out = tmp_path / "out"
    run(source, out)
    (source / "a/a 0.jpg").unlink()
    save(source / "a/a 1.jpg", picture(99))
    save(source / "c/new.jpg", picture(98))
    assert run(source, out, "--seed", 5) == 0
    run(source, tmp_path / "fresh", "--seed", 5)
    assert tree(out) == tree(tmp_path / "fresh")


def test_an_output_that_was_damaged_is_made_again(tmp_path):
    source = photos(tmp_path / "in", a=5, b=1)
    out = tmp_path / "out"
    run(source, out)
    before = tree(out)
    paths = sorted((out / "train").rglob("*.jpg"))
    paths[0].unlink()
    paths[1].write_bytes(b"half")
    assert run(source, out) == 0
    assert tree(out) == before


@pytest.mark.parametrize("left", [".staging/.prepare.json.x.slipway-tmp", ".staging/moving-0"])
def test_files_of_a_killed_writer_are_removed(tmp_path, left):
    source = photos(tmp_path / "in", a=4, b=4)
    out = tmp_path / "out"
    (out / left).parent.mkdir(parents=True)
    (out / left).write_bytes(b"half")
    assert run(source, out) == 0
    assert not (out / ".staging").exists()


@pytest.fixture(scope="module")
def unharmed(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """Photos that take a second, and what a run that was not killed makes of them."""
    folder = tmp_path_factory.mktemp("unharmed")
    source = photos(folder / "in", a=20, b=20)
    big_photos(source / "a", 60, (400, 300))
    run(source, folder / "out")
    return source, tree(folder / "out")


def has_staged(photos: int) -> Callable[[Path], bool]:
    """Whether this many photos are converted."""
    return lambda out: len(list((out / ".staging").glob("*"))) >= photos


def has_state(out: Path) -> bool:
    """Whether photos are being moved into their places."""
    return (out / "prepare.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "reached", [has_staged(1), has_staged(30), has_state], ids=["first", "half", "moving"]
)
def test_a_killed_run_leaves_nothing_that_a_later_one_trusts(tmp_path, unharmed, reached):
    source, whole = unharmed
    out = tmp_path / "out"
    process = start(source, out, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not reached(out):
        time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError):  # it has ended
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if has_state(out) and json.loads((out / "prepare.json").read_text())["state"] == "complete":
        assert tree(out) == whole
    assert run(source, out) == 0
    assert tree(out) == whole


@pytest.mark.slow
def test_ctrl_c_is_one_sentence_and_leaves_nothing(tmp_path):
    source = many_big_photos(tmp_path / "in")
    out = tmp_path / "out"
    process = start(source, out, "-c", LISTENING, stderr=subprocess.PIPE, text=True)
    # until the first photos of hundreds are converted
    while not list((out / ".staging").glob("*")):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said
    assert not out.exists()


@pytest.mark.slow
def test_workers_do_not_outlive_a_killed_run(tmp_path):
    source = many_big_photos(tmp_path / "in")
    process = start(source, tmp_path / "out")
    # Until both convert. From Python 3.14 on they are children of a fork server.
    while len(list((tmp_path / "out" / ".staging").glob("*"))) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    workers = [str(child.pid) for child in psutil.Process(process.pid).children(recursive=True)]
    assert len(workers) >= 2
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while any(runs(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def runs(pid: str) -> bool:
    """Whether a process is there, and not a zombie: these have no command line."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_one_clear_sentence(tmp_path, capsys):
    source = photos(tmp_path / "in", a=10)
    for index in range(20):
        # noise: JPEG cannot make it small
        noise = np.random.default_rng(index).integers(0, 256, (300, 300, 3), dtype=np.uint8)
        save(source / f"a/noise {index}.png", Image.fromarray(noise))
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
    try:
        code = run(source, small / "out")
        left = list(small.iterdir())
    finally:
        subprocess.run(["umount", small], check=True)
    assert code == 1
    assert "the disk is full" in capsys.readouterr().err
    assert left == []
