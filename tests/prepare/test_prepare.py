"""Preparing photos: any mode and mess in, verified RGB, split and listed out."""

import csv
import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artifact.photos.decoder import decode
from prepare.scan import scan
from tests.support.jobs import REPOSITORY
from tests.support.photo_folders import photos, picture, rows, run, save, tree

LAST_LINE = (
    r"^prepare: photos=33 train=\d+ validation=\d+ test=\d+ broken=0 duplicates=0 "
    r"report=.*report.html$"
)
ORIENTATION_TAG = 0x0112


def test_photos_end_up_in_three_parts_of_every_class(tmp_path, capsys):
    source = photos(tmp_path / "in", a=20, b=10, c=3)
    out = tmp_path / "out"
    assert run(source, out) == 0
    assert re.search(LAST_LINE, capsys.readouterr().out, re.M)
    counted = {(row["split"], row["class"]) for row in rows(out)}
    assert counted == set(itertools.product(("train", "validation", "test"), "abc"))
    assert len(list((out / "train" / "a").iterdir())) == 14
    assert len(list((out / "test" / "a").iterdir())) == 4
    assert json.loads((out / "classes.json").read_text()) == ["a", "b", "c"]


def test_every_output_is_an_upright_rgb_jpeg_and_listed_with_its_hash(tmp_path):
    source = photos(tmp_path / "in", a=3, b=1)
    save(source / "a/alpha.png", picture(50, "RGBA"))
    save(source / "a/palette.png", picture(51, "P"))
    save(source / "a/grey.jpg", picture(52, "L"))
    save(source / "a/cmyk.jpg", picture(53, "CMYK"))
    save(source / "a/really webp.jpg", picture(54), "WEBP")
    deep = (np.arange(400).reshape(20, 20) * 160).astype(np.uint16)
    save(source / "a/deep.tif", Image.fromarray(deep))
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6  # a quarter turn
    save(source / "a/sideways.jpg", picture(55), exif=exif)
    save(source / "a/sideways.png", picture(56), exif=exif)
    assert run(source, tmp_path / "out") == 0
    listed = rows(tmp_path / "out")
    assert len(listed) == 12
    for row in listed:
        data = (tmp_path / "out" / row["path"]).read_bytes()
        with Image.open(tmp_path / "out" / row["path"]) as image:
            assert image.format == "JPEG"
            assert image.mode == "RGB"
        upright = decode(data)
        assert (upright.width, upright.height) == (int(row["width"]), int(row["height"]))
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
    changes = {Path(row["source"]).name: row["changes"] for row in listed}
    assert changes["a 0.jpg"] == ""
    assert changes["grey.jpg"] == "greyscale to RGB"
    assert changes["cmyk.jpg"] == "CMYK to RGB"
    assert "transparency laid on white" in changes["alpha.png"]
    assert "palette to RGB" in changes["palette.png"]
    assert "16-bit" in changes["deep.tif"]
    assert "WEBP named .jpg" in changes["really webp.jpg"]
    assert changes["sideways.jpg"] == ""  # the decoder turns it
    assert "turned upright" in changes["sideways.png"]
    sizes = {Path(row["source"]).name: (row["width"], row["height"]) for row in listed}
    assert sizes["sideways.jpg"] == ("36", "48")
    assert sizes["sideways.png"] == ("36", "48")


def pixels(path: Path) -> np.ndarray:
    """Decoded samples, int [H, W, 3]."""
    return np.asarray(decode(path.read_bytes()), int)


def test_an_rgb_jpeg_is_copied_byte_for_byte_and_others_keep_their_pixels(tmp_path):
    source = photos(tmp_path / "in", a=1)
    save(source / "b/one.png", picture(7, size=(64, 64)))
    run(source, tmp_path / "out")
    assert (tmp_path / "out/train/a/a 0.jpg").read_bytes() == (source / "a/a 0.jpg").read_bytes()
    written = pixels(tmp_path / "out/train/b/one.jpg")
    assert np.abs(written - pixels(source / "b/one.png")).mean() < 4


def test_equal_photos_stay_on_one_side(tmp_path, capsys):
    source = photos(tmp_path / "in", a=12, b=12)
    for index in range(6):
        shutil.copy(source / f"a/a {index}.jpg", source / f"a/copy {index}.jpg")
    decode((source / "a/a 7.jpg").read_bytes()).save(source / "a/same pixels.png")
    shutil.copy(source / "a/a 8.jpg", source / "b/in another class.jpg")
    assert run(source, tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "photos=32 " in said
    assert "duplicates=8 " in said
    split_of = {Path(row["source"]).name: row["split"] for row in rows(tmp_path / "out")}
    for index in range(6):
        assert split_of[f"a {index}.jpg"] == split_of[f"copy {index}.jpg"]
    assert split_of["a 7.jpg"] == split_of["same pixels.png"]
    assert split_of["a 8.jpg"] == split_of["in another class.jpg"]
    assert "Conflicting labels" in (tmp_path / "out/report.html").read_text()


def test_a_photo_too_wide_for_a_jpeg_is_listed_as_broken(tmp_path, capsys):
    source = photos(tmp_path / "in", a=2, b=1)
    save(source / "a/wide.png", Image.new("RGB", (70_000, 2)))
    assert run(source, tmp_path / "out") == 0
    assert "70000 x 2 pixels" in capsys.readouterr().out
    state = json.loads((tmp_path / "out/prepare.json").read_text())
    assert "a/wide.png" in state["broken"]


def test_names_of_every_kind(tmp_path):
    source = tmp_path / "in" / "class one"
    names = [
        "a.png",
        "a.jpg",
        "A.JPG",
        "with space & <b>'quotes\".jpg",
        "ünïcödé 写真.jpg",
        "x" * 240 + ".jpg",
        "x" * 240 + ".jpeg",
        "noextension",
        "sub/a.jpg",
    ]
    for seed, name in enumerate(names):
        kind = "PNG" if name.endswith("png") else "JPEG"
        save(source / name, picture(seed), kind)
    save(tmp_path / "in" / "class two" / "a.jpg", picture(99))
    not_utf8 = source / os.fsdecode(b"not \xff utf8.jpg")
    not_utf8.write_bytes((source / "a.jpg").read_bytes())
    assert run(tmp_path / "in", tmp_path / "out") == 0
    with (tmp_path / "out/manifest.csv").open(encoding="utf-8", errors="surrogateescape") as file:
        outputs = [row["path"] for row in csv.DictReader(file)]
    # macOS ignores case
    assert len({path.casefold() for path in outputs}) == 11
    assert [path for path in outputs if not (tmp_path / "out" / path).is_file()] == []


def test_manifests_are_what_sagemaker_reads(tmp_path):
    source = photos(tmp_path / "in", a=6, b=6)
    assert run(source, tmp_path / "out", "--s3-uri", "s3://bucket/set/") == 0
    text = (tmp_path / "out/train.manifest").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == len(list((tmp_path / "out/train").rglob("*.jpg")))
    for line in lines:
        path = line["source-ref"].removeprefix("s3://bucket/set/")
        assert (tmp_path / "out" / path).is_file()
        metadata = line["class-metadata"]
        assert line["class"] == ["a", "b"].index(metadata["class-name"])
        assert metadata["type"] == "groundtruth/image-classification"


def test_broken_files_are_listed_or_end_the_run(tmp_path, capsys):
    source = photos(tmp_path / "in", a=4, b=4)
    (source / "a/torn.jpg").write_bytes((source / "a/a 0.jpg").read_bytes()[:200])
    (source / "a/empty.png").touch()
    (source / "a/pointer.jpg").write_text("version https://git-lfs.github.com/spec/v1\n")
    for name in ("a/.DS_Store", "b/Thumbs.db", "notes.txt"):
        (source / name).write_text("x")
    assert run(source, tmp_path / "out", "--on-bad", "fail") == 1
    assert "3 broken photos" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert run(source, tmp_path / "out") == 0
    said = capsys.readouterr().out
    for name in ("torn.jpg", "empty.png", "pointer.jpg"):
        assert f"broken, left out: 'a/{name}'" in said
        assert name in (tmp_path / "out/report.html").read_text()
    assert "photos=8 " in said
    assert "broken=3 " in said
    before = tree(tmp_path / "out")
    assert run(source, tmp_path / "out", "--on-bad", "fail") == 1
    assert tree(tmp_path / "out") == before


def test_one_class_is_refused(tmp_path, capsys):
    assert run(photos(tmp_path / "in", a=3), tmp_path / "out") == 1
    assert "one class only ('a')" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_other_files_are_kept_apart_from_photos(tmp_path):
    photos(tmp_path, a=1)
    for name in ("readme.md", "a/.hidden.jpg", "a/labels.csv", "loose.jpg"):
        (tmp_path / name).write_text("x")
    found = scan(tmp_path)
    assert [source.path for source in found.sources] == ["a/a 0.jpg"]
    assert sorted(found.passed.paths) == ["a/.hidden.jpg", "a/labels.csv", "loose.jpg", "readme.md"]


@pytest.mark.slow
def test_progress_is_plain_lines_where_there_is_no_terminal(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "prepare", photos(tmp_path / "in", a=3, b=1), tmp_path / "out"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    )
    assert b"\r" not in done.stdout + done.stderr
