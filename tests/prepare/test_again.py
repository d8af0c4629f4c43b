"""Preparing again: nothing changed, something changed, killed in between, no room left."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prepare.__main__ import main
from tests.support.jobs import REPOSITORY
from tests.support.photo_folders import photos, picture, run, save, tree


def test_again_changes_nothing_and_decodes_nothing(tmp_path):
    source, out = photos(tmp_path / "in", a=6, b=6), tmp_path / "out"
    save(source / "a/alpha.png", picture(50, "RGBA"))
    run(source, out)
    before, times = (
        tree(out),
        {path: path.stat().st_mtime_ns for path in (out / "train").rglob("*.jpg")},
    )
    assert run(source, out) == 0
    assert (
        tree(out) == before
        and {path: path.stat().st_mtime_ns for path in (out / "train").rglob("*.jpg")} == times
    )
    fresh = tmp_path / "fresh"
    main([str(source), str(fresh), "--workers", "1"])
    assert {name: digest for name, digest in tree(fresh).items()} == before


def test_changes_of_sources_and_options_are_followed(tmp_path):
    source, out = photos(tmp_path / "in", a=10, b=10), tmp_path / "out"
    run(source, out)
    (source / "a/a 0.jpg").unlink()
    save(source / "a/a 1.jpg", picture(99))
    save(source / "c/new.jpg", picture(98))
    assert run(source, out, "--seed", 5) == 0
    run(source, tmp_path / "fresh", "--seed", 5)
    assert tree(out) == tree(tmp_path / "fresh")


def test_an_output_that_was_damaged_is_made_again(tmp_path):
    source, out = photos(tmp_path / "in", a=5), tmp_path / "out"
    run(source, out)
    before = tree(out)
    paths = sorted((out / "train").rglob("*.jpg"))
    paths[0].unlink()
    paths[1].write_bytes(b"half")
    assert run(source, out) == 0 and tree(out) == before


@pytest.mark.parametrize("left", [".staging/.prepare.json.x.slipway-tmp", ".staging/moving-0"])
def test_what_a_killed_writer_left_is_cleared_away(tmp_path, left):
    source, out = photos(tmp_path / "in", a=4, b=4), tmp_path / "out"
    (out / left).parent.mkdir(parents=True)
    (out / left).write_bytes(b"half")
    assert run(source, out) == 0 and not (out / ".staging").exists()


@pytest.mark.parametrize("delay_s", [0.15, 0.3, 0.45, 0.6, 0.9])
def test_a_killed_run_leaves_nothing_that_a_later_one_trusts(tmp_path, delay_s):
    source, out = photos(tmp_path / "in", a=60, b=60), tmp_path / "out"
    for index in range(60):
        save(
            source / f"a/big {index}.png",
            picture(500 + index, "RGBA", (400, 300)),
            compress_level=1,
        )
    run(source, tmp_path / "whole")
    process = subprocess.Popen(
        [sys.executable, "-m", "prepare", source, out, "--workers", "2"],
        cwd=REPOSITORY,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(delay_s)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    state_file = out / "prepare.json"
    if state_file.exists() and json.loads(state_file.read_text())["state"] == "complete":
        assert tree(out) == tree(tmp_path / "whole")
    assert run(source, out) == 0
    assert tree(out) == tree(tmp_path / "whole")


def test_ctrl_c_is_one_sentence_and_leaves_nothing(tmp_path):
    source = tmp_path / "in"
    for index in range(30):
        save(
            source / f"a/big {index}.png",
            picture(500 + index, "RGBA", (800, 600)),
            compress_level=1,
        )
        for copy in range(10):
            shutil.copy(source / f"a/big {index}.png", source / f"a/copy {copy} of {index}.png")
    # a shell's background job ignores Ctrl-C, and so would its children
    listening = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            listening,
            "-m",
            "prepare",
            source,
            tmp_path / "out",
            "--workers",
            "2",
        ],
        cwd=REPOSITORY,
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(
        (tmp_path / "out/.staging").glob("*")
    ):  # the first photos of hundreds are converted
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert (
        process.returncode == 130
        and "interrupted" in said
        and "Traceback" not in said
        and not (tmp_path / "out").exists()
    ), said


def test_workers_do_not_outlive_a_killed_run(tmp_path):
    source = tmp_path / "in"
    for index in range(40):
        save(
            source / f"a/big {index}.png",
            picture(500 + index, "RGBA", (800, 600)),
            compress_level=1,
        )
    process = subprocess.Popen(
        [sys.executable, "-m", "prepare", source, tmp_path / "out", "--workers", "2"],
        cwd=REPOSITORY,
        start_new_session=True,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while len(workers := children.read_text().split()) < 2:
        time.sleep(0.02)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while any(
        Path(f"/proc/{worker}/cmdline").exists() and Path(f"/proc/{worker}/cmdline").read_bytes()
        for worker in workers
    ):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_one_clear_sentence(tmp_path, capsys):
    source = photos(tmp_path / "in", a=10)
    for index in range(20):
        save(
            source / f"a/noise {index}.png",
            Image.fromarray(
                np.random.default_rng(index).integers(0, 256, (300, 300, 3), dtype=np.uint8)
            ),
        )
    (tmp_path / "small").mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path / "small")], check=True
    )
    try:
        code = run(source, tmp_path / "small" / "out")
        left = list((tmp_path / "small").iterdir())
    finally:
        subprocess.run(["umount", str(tmp_path / "small")], check=True)
    assert code == 1 and "the disk is full" in capsys.readouterr().err and not left
