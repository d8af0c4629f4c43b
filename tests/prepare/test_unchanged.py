"""Which sources an earlier run's output still fits, and the shapes that the report shows."""

from dataclasses import replace
from pathlib import Path

import pytest

from prepare import build
from prepare.convert import Photo
from prepare.options import Options
from prepare.photo_report import render_report
from prepare.scan import Scan, Source
from prepare.signature import LAYOUT, SIGNATURES_FILE, signatures_file
from prepare.state import PhotoRecord, PreparationState
from prepare.summary import summarise
from tests.support.photo_folders import picture, save

PHOTO = Photo("p", "JPEG", "RGB", 200, 100, (), "s", 4, signature=bytes(LAYOUT.itemsize))
SOURCE = Source("a/1.jpg", "a")


@pytest.mark.parametrize(
    ("stamp", "output", "kept"),
    [
        ([4, 1], b"1234", True),
        ([4, 2], b"1234", False),  # written since
        ([5, 1], b"1234", False),  # another size
        ([4, 1], b"123", False),  # the output was damaged
        ([4, 1], None, False),  # the output was removed
    ],
)
def test_a_photo_is_kept_while_source_and_output_are_as_recorded(tmp_path, stamp, output, kept):
    (tmp_path / SIGNATURES_FILE).write_bytes(signatures_file([PHOTO.signature]))
    options = Options(tmp_path / "in", tmp_path)
    record: PhotoRecord = {"stamp": [4, 1], "output": "1.jpg", "photo": PHOTO.as_dict()}
    state = PreparationState(complete=True, photos={SOURCE.path: record})
    if output is not None:
        (tmp_path / "1.jpg").write_bytes(output)
    found = build._unchanged(options, [SOURCE], {SOURCE.path: stamp}, state)
    expected = {}
    if kept:
        expected = {SOURCE: PHOTO}
    assert found == expected
    (tmp_path / SIGNATURES_FILE).unlink()
    assert build._unchanged(options, [SOURCE], {SOURCE.path: stamp}, state) == {}
    new = Source("a/2.jpg", "a")
    assert build._unchanged(options, [new], {new.path: stamp}, state) == {}


def test_the_report_shows_sizes_and_shapes(tmp_path: Path):
    save(tmp_path / "train/a/1.jpg", picture(1))
    options = Options(tmp_path / "in", tmp_path)
    photos = {SOURCE: replace(PHOTO, width=300, height=150)}
    summary = summarise(options, photos, {SOURCE: "train"}, {}, Scan([]))
    page = render_report(summary, tmp_path, {SOURCE: "train/a/1.jpg"}).decode()
    assert "128–223" in page  # the shorter side
    assert "178–249" in page  # twice as wide as high
    assert "< 64" not in page
    assert "≥ 250" not in page
