"""Preparing photos: any mode and mess in, verified RGB, split and listed out; and again; and killed."""

import csv
import hashlib
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

from artifact.preprocessing import decode
from prepare.__main__ import main
from prepare.scan import Source, scan
from prepare.split import assign, counts
from tests.support.jobs import REPOSITORY
from tests.support.photo_folders import photos, picture, rows, run, save, tree


def test_photos_end_up_in_three_parts_of_every_class(tmp_path, capsys):
    source, out = photos(tmp_path / "in", a=20, b=10, c=3), tmp_path / "out"
    assert run(source, out) == 0
    assert re.search(
        r"^prepare: photos=33 train=\d+ validation=\d+ test=\d+ broken=0 duplicates=0 report=.*report.html$",
        capsys.readouterr().out,
        re.M,
    )
    counted = {(row["split"], row["class"]) for row in rows(out)}
    assert counted == {(split, name) for split in ("train", "validation", "test") for name in "abc"}
    assert (
        len(list((out / "train" / "a").iterdir())) == 14
        and len(list((out / "test" / "a").iterdir())) == 4
    )
    assert json.loads((out / "classes.json").read_text()) == ["a", "b", "c"]


def test_every_output_is_an_upright_rgb_jpeg_and_listed_with_its_hash(tmp_path):
    source = photos(tmp_path / "in", a=3)
    save(source / "a/alpha.png", picture(50, "RGBA"))
    save(source / "a/palette.png", picture(51, "P"))
    save(source / "a/grey.jpg", picture(52, "L"))
    save(source / "a/cmyk.jpg", picture(53, "CMYK"))
    save(source / "a/really webp.jpg", picture(54), "WEBP")
    save(
        source / "a/deep.tif",
        Image.fromarray((np.arange(400).reshape(20, 20) * 160).astype(np.uint16)),
    )
    exif = Image.Exif()
    exif[0x0112] = 6
    save(source / "a/sideways.jpg", picture(55), exif=exif)
    assert run(source, tmp_path / "out") == 0
    listed = rows(tmp_path / "out")
    assert len(listed) == 10
    for row in listed:
        data = (tmp_path / "out" / row["path"]).read_bytes()
        with Image.open(tmp_path / "out" / row["path"]) as image:
            assert (
                image.format == "JPEG"
                and image.mode == "RGB"
                and image.getexif().get(0x0112, 1) == 1
            )
            assert (image.width, image.height) == (int(row["width"]), int(row["height"]))
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
    changes = {Path(row["source"]).name: row["changes"] for row in listed}
    assert (
        changes["a 0.jpg"] == ""
        and "transparency laid on white" in changes["alpha.png"]
        and "palette to RGB" in changes["palette.png"]
    )
    assert (
        changes["grey.jpg"] == "greyscale to RGB"
        and changes["cmyk.jpg"] == "CMYK to RGB"
        and "16-bit" in changes["deep.tif"]
    )
    assert (
        "WEBP named .jpg" in changes["really webp.jpg"]
        and "turned upright" in changes["sideways.jpg"]
    )
    sizes = {Path(row["source"]).name: (row["width"], row["height"]) for row in listed}
    assert sizes["sideways.jpg"] == ("36", "48")


def test_an_rgb_jpeg_is_copied_byte_for_byte_and_others_keep_their_pixels(tmp_path):
    source = photos(tmp_path / "in", a=1)
    save(source / "b/one.png", picture(7, size=(64, 64)))
    run(source, tmp_path / "out")
    assert (tmp_path / "out/train/a/a 0.jpg").read_bytes() == (source / "a/a 0.jpg").read_bytes()
    ours, theirs = (
        np.asarray(decode(path.read_bytes()), int)
        for path in (tmp_path / "out/train/b/one.jpg", source / "b/one.png")
    )
    assert np.abs(ours - theirs).mean() < 4


def test_equal_photos_stay_on_one_side(tmp_path, capsys):
    source = photos(tmp_path / "in", a=12, b=12)
    for index in range(6):
        shutil.copy(source / f"a/a {index}.jpg", source / f"a/copy {index}.jpg")
    decode((source / "a/a 7.jpg").read_bytes()).save(source / "a/same pixels.png")
    shutil.copy(source / "a/a 8.jpg", source / "b/in another class.jpg")
    assert run(source, tmp_path / "out") == 0
    assert "photos=32 " in (said := capsys.readouterr().out) and "duplicates=8 " in said
    split_of = {Path(row["source"]).name: row["split"] for row in rows(tmp_path / "out")}
    for index in range(6):
        assert split_of[f"a {index}.jpg"] == split_of[f"copy {index}.jpg"]
    assert (
        split_of["a 7.jpg"] == split_of["same pixels.png"]
        and split_of["a 8.jpg"] == split_of["in another class.jpg"]
    )
    assert "Conflicting labels" in (tmp_path / "out/report.html").read_text()


@pytest.mark.parametrize(
    "total, shares, expected",
    [
        (1, (0.7, 0.1, 0.2), (1, 0, 0)),
        (2, (0.7, 0.1, 0.2), (1, 0, 1)),
        (3, (0.7, 0.1, 0.2), (1, 1, 1)),
        (4, (0.7, 0.1, 0.2), (2, 1, 1)),
        (10, (0.7, 0.1, 0.2), (7, 1, 2)),
        (100, (0.7, 0.1, 0.2), (70, 10, 20)),
        (7, (1, 0, 0), (7, 0, 0)),
        (5, (0.5, 0.5, 0), (3, 2, 0)),
        (2, (0.5, 0.5, 0), (1, 1, 0)),
        (0, (0.7, 0.1, 0.2), (0, 0, 0)),
        (5, (0.98, 0.01, 0.01), (3, 1, 1)),
    ],
)
def test_shares_of_a_class(total, shares, expected):
    assert tuple(counts(total, shares).values()) == expected


def test_the_split_depends_on_photos_and_seed_alone():
    pixels = {Source(f"a/{index}.jpg", "a"): f"hash {index}" for index in range(50)}
    backwards = dict(reversed(pixels.items()))
    assert (
        assign(pixels, (0.7, 0.1, 0.2), 0)
        == assign(backwards, (0.7, 0.1, 0.2), 0)
        != assign(pixels, (0.7, 0.1, 0.2), 1)
    )


def test_a_split_that_the_source_has_is_kept(tmp_path, capsys):
    for name, count in (("train", 4), ("valid", 1), ("test", 2)):
        photos(tmp_path / "in" / name, a=count, b=count)
    assert run(tmp_path / "in", tmp_path / "out") == 0
    assert (
        "train=8 validation=2 test=4" in (said := capsys.readouterr().out)
        and "--split does not apply" in said
    )
    assert "Leaks" in (tmp_path / "out/report.html").read_text()


@pytest.mark.parametrize(
    "names, words",
    [
        (("train", "valid", "test", "others"), "beside 'others'"),
        (("train", "Valid", "cats"), "beside 'cats'"),
    ],
)
def test_a_split_beside_other_folders_is_not_taken_for_classes(tmp_path, capsys, names, words):
    for name in names:
        photos(tmp_path / "in" / name, a=1, b=1)
    assert run(tmp_path / "in", tmp_path / "out") == 1 and words in capsys.readouterr().err


@pytest.mark.parametrize(
    "names", [("train", "validation", "testing", "__MACOSX"), ("training", "val", "test")]
)
def test_a_split_by_any_names_is_known(tmp_path, names):
    for name in names:
        photos(tmp_path / "in" / name, a=2, b=2)
    assert run(tmp_path / "in", tmp_path / "out") == 0
    assert json.loads((tmp_path / "out/classes.json").read_text()) == ["a", "b"]


def test_a_photo_too_wide_for_a_jpeg_is_listed_as_broken(tmp_path, capsys):
    source = photos(tmp_path / "in", a=2)
    save(source / "a/wide.png", Image.new("RGB", (70_000, 2)))
    assert run(source, tmp_path / "out") == 0 and "70000 x 2 pixels" in capsys.readouterr().out
    assert "a/wide.png" in json.loads((tmp_path / "out/prepare.json").read_text())["broken"]


def test_names_of_every_kind(tmp_path):
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
        save(
            tmp_path / "in/class one" / name,
            picture(seed),
            "PNG" if name.endswith("png") else "JPEG",
        )
    (tmp_path / "in/class one").joinpath(os.fsdecode(b"not \xff utf8.jpg")).write_bytes(
        (tmp_path / "in/class one/a.jpg").read_bytes()
    )
    assert run(tmp_path / "in", tmp_path / "out") == 0
    with (tmp_path / "out/manifest.csv").open(encoding="utf-8", errors="surrogateescape") as file:
        outputs = [row["path"] for row in csv.DictReader(file)]
    assert len({path.casefold() for path in outputs}) == 10 and all(
        (tmp_path / "out" / path).is_file() for path in outputs
    )


def test_manifests_are_what_sagemaker_reads(tmp_path):
    source = photos(tmp_path / "in", a=6, b=6)
    assert run(source, tmp_path / "out", "--s3-uri", "s3://bucket/set/") == 0
    lines = [
        json.loads(line) for line in (tmp_path / "out/train.manifest").read_text().splitlines()
    ]
    assert len(lines) == len(list((tmp_path / "out/train").rglob("*.jpg")))
    for line in lines:
        assert (tmp_path / "out" / line["source-ref"].removeprefix("s3://bucket/set/")).is_file()
        assert (
            line["class"] == {"a": 0, "b": 1}[line["class-metadata"]["class-name"]]
            and line["class-metadata"]["type"] == "groundtruth/image-classification"
        )


def test_broken_files_are_listed_or_end_the_run(tmp_path, capsys):
    source = photos(tmp_path / "in", a=4, b=4)
    (source / "a/torn.jpg").write_bytes((source / "a/a 0.jpg").read_bytes()[:200])
    (source / "a/empty.png").touch()
    (source / "a/pointer.jpg").write_text("version https://git-lfs.github.com/spec/v1\n")
    for name in ("a/.DS_Store", "b/Thumbs.db", "notes.txt"):
        (source / name).write_text("x")
    assert run(source, tmp_path / "out", "--on-bad", "fail") == 1
    assert "3 broken photos" in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert run(source, tmp_path / "out") == 0
    said = capsys.readouterr().out
    for name in ("torn.jpg", "empty.png", "pointer.jpg"):
        assert (
            f"broken, left out: 'a/{name}'" in said
            and name in (tmp_path / "out/report.html").read_text()
        )
    assert "photos=8 " in said and "broken=3 " in said
    before = tree(tmp_path / "out")
    assert run(source, tmp_path / "out", "--on-bad", "fail") == 1
    assert tree(tmp_path / "out") == before


def usage(arguments: list[object], capsys) -> str:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "options, words",
    [
        (["--split", "a,b"], "three shares that add up to 1"),
        (["--split", "0.5,0.5,0.5"], "three shares"),
        (["--split", "0,0.5,0.5"], "train above 0"),
        (["--split", "1.2,-0.2,0"], "three shares"),
        (["--workers", "0"], "at least 1"),
        (["--on-bad", "panic"], "panic"),
        (["--s3-uri", "bucket"], "s3://"),
    ],
)
def test_wrong_options(tmp_path, capsys, options, words):
    assert words in usage([tmp_path / "in", tmp_path / "out", *options], capsys)


def test_source_and_destination_must_not_lie_in_each_other(tmp_path, capsys):
    for source, destination in (("a", "a/b"), ("a/b", "a"), ("a", "a")):
        assert "must not lie in each other" in usage(
            [tmp_path / source, tmp_path / destination], capsys
        )


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda source, out: shutil.rmtree(source), "is not a folder"),
        (lambda source, out: [shutil.rmtree(path) for path in source.iterdir()], "holds no photos"),
        (
            lambda source, out: [path.write_bytes(b"x") for path in source.rglob("*.jpg")],
            "none of the 4 files",
        ),
        (
            lambda source, out: (out.mkdir(), (out / "mine.txt").write_text("x")),
            "holds 'mine.txt', which prepare did not write",
        ),
        (
            lambda source, out: (out.mkdir(), (out / "prepare.json").write_text("{}")),
            "is not a file that this prepare wrote",
        ),
        (lambda source, out: out.write_text("a file"), "out"),
    ],
)
def test_what_cannot_be_prepared_is_one_clear_sentence(tmp_path, capsys, spoil, words):
    source = photos(tmp_path / "in", a=2, b=2)
    spoil(source, tmp_path / "out")
    assert run(source, tmp_path / "out") == 1
    said = capsys.readouterr().err.strip()
    assert words in said and "\n" not in said


def test_one_class_is_prepared_but_warned_of(tmp_path, capsys):
    assert run(photos(tmp_path / "in", a=3), tmp_path / "out") == 0
    assert "one class only ('a')" in capsys.readouterr().err


def test_other_files_are_told_from_photos(tmp_path):
    photos(tmp_path, a=1)
    for name in ("readme.md", "a/.hidden.jpg", "a/labels.csv", "loose.jpg"):
        (tmp_path / name).write_text("x")
    sources, ignored = scan(tmp_path)
    assert [source.path for source in sources] == ["a/a 0.jpg"] and ignored == [
        "a/.hidden.jpg",
        "a/labels.csv",
        "loose.jpg",
        "readme.md",
    ]


def test_progress_is_plain_lines_where_there_is_no_terminal(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "prepare", photos(tmp_path / "in", a=3), tmp_path / "out"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    )
    assert b"\r" not in done.stdout + done.stderr
