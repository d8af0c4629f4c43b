"""What a preparation writes down: changes of a photo, counts, lists, report, state."""

import base64
import io
import json
from dataclasses import replace

import pytest
from PIL import Image

from prepare import build
from prepare.convert import Photo, _format_changes, _mode_words, convert
from prepare.manifests import COLUMNS, manifests
from prepare.options import Options
from prepare.photo_report import SHAPES, SIDES, contact_sheet, histogram
from prepare.scan import PrepareError, Scan, Source
from prepare.state import PreparationState, read_state
from prepare.summary import summarise
from prepare.thumbnails import thumbnail
from tests.support.photo_folders import picture, save
from tests.support.preparations import PHOTO, summary


@pytest.mark.parametrize(
    ("kind", "suffix", "changes"),
    [
        ("JPEG", ".jpg", []),
        ("JPEG", ".jfif", []),
        ("JPEG", ".png", ["JPEG named .png renamed"]),
        ("JPEG", "", ["JPEG named without extension renamed"]),
        ("PNG", ".png", ["PNG to JPEG"]),
        ("PNG", "", ["PNG to JPEG"]),
        ("PNG", ".jpeg", ["PNG named .jpeg to JPEG"]),
    ],
)
def test_formats_in_words(kind, suffix, changes):
    assert _format_changes(kind, suffix) == changes


@pytest.mark.parametrize(
    ("mode", "words"),
    [("L", "greyscale"), ("I;16B", "16-bit greyscale"), ("I", "16-bit greyscale"), ("HSV", "HSV")],
)
def test_modes_in_words(mode, words):
    assert _mode_words(mode) == words


def test_a_jpeg_is_written_in_quality_95_and_full_colour(tmp_path):
    source = save(tmp_path / "a.png", picture(1, size=(64, 64)))
    convert(source, tmp_path / "out")
    expected = io.BytesIO()
    image = picture(1, size=(64, 64))
    image.save(expected, "JPEG", quality=95, subsampling=0)
    assert (tmp_path / "out").read_bytes() == expected.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_no_output_says_where_a_photo_was_taken(tmp_path, kind):
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (48.0, 8.0, 14.2), 28: b"a place"}
    options = {"comment": b"a comment"} if kind == "JPEG" else {}
    image = picture(1)
    source = save(tmp_path / f"a.{kind.lower()}", image, kind, exif=exif, **options)
    assert isinstance(convert(source, tmp_path / "out"), Photo)
    written = (tmp_path / "out").read_bytes()
    assert b"a place" not in written
    assert b"a comment" not in written


@pytest.mark.parametrize(("frames", "changed"), [(1, False), (2, True)])
def test_the_first_of_several_frames_is_taken(tmp_path, frames, changed):
    pages = [picture(seed) for seed in range(frames)]
    source = tmp_path / "a.tif"
    pages[0].save(source, save_all=True, append_images=pages[1:])
    photo = convert(source, tmp_path / "out")
    assert isinstance(photo, Photo)
    assert ("first of several frames taken" in photo.changes) == changed


def test_pixels_are_told_apart_by_their_shape(tmp_path):
    hashes = set()
    for number, size in enumerate(((2, 3), (3, 2), (6, 1))):
        source = save(tmp_path / f"{number}.png", Image.new("RGB", size, "red"))
        photo = convert(source, tmp_path / "out")
        assert isinstance(photo, Photo)
        hashes.add(photo.pixels)
    assert len(hashes) == 3


def test_a_photo_that_cannot_be_read_is_not_called_broken(tmp_path):
    with pytest.raises(FileNotFoundError):
        convert(tmp_path / "none.jpg", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_photo_comes_back_from_its_record():
    photo = replace(PHOTO, changes=("a", "b"))
    assert Photo.from_dict(json.loads(json.dumps(photo.as_dict()))) == photo


def bars(values: list[int]) -> list[tuple[str, int, float]]:
    return [(bar.text, bar.count, bar.share) for bar in histogram(values, (10, 20, 30))]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([9], [("< 10", 1, 1.0)]),
        ([10, 19], [("10–19", 2, 1.0)]),
        ([30], [("≥ 30", 1, 1.0)]),
        ([29, 29, 9], [("< 10", 1, 0.5), ("10–19", 0, 0.0), ("20–29", 2, 1.0)]),
    ],
)
def test_a_histogram_has_bars_between_its_edges(values, expected):
    assert bars(values) == expected


@pytest.mark.parametrize(
    ("edges", "value", "text"),
    [
        (SIDES, 63, "< 64"),
        (SIDES, 127, "64–127"),
        (SIDES, 223, "128–223"),
        (SIDES, 224, "224–255"),  # the side that most networks see
        (SIDES, 383, "256–383"),
        (SIDES, 511, "384–511"),
        (SIDES, 767, "512–767"),
        (SIDES, 1023, "768–1023"),
        (SIDES, 2047, "1024–2047"),
        (SIDES, 2048, "≥ 2048"),
        (SHAPES, 49, "< 50"),
        (SHAPES, 74, "50–74"),
        (SHAPES, 94, "75–94"),
        (SHAPES, 100, "95–104"),  # a square
        (SHAPES, 133, "105–133"),  # 4:3
        (SHAPES, 177, "134–177"),  # 16:9
        (SHAPES, 249, "178–249"),
        (SHAPES, 250, "≥ 250"),
    ],
)
def test_sizes_and_shapes_have_their_bars(edges, value, text):
    assert [bar.text for bar in histogram([value], edges)] == [text]


@pytest.mark.parametrize(
    ("photos", "classes", "shown"),
    [(4, 1, 4), (6, 1, 6), (7, 1, 6), (20, 1, 6), (3, 400, 2), (3, 900, 1)],
)
def test_a_class_shows_a_few_photos_evenly(tmp_path, monkeypatch, photos, classes, shown):
    monkeypatch.setattr("prepare.photo_report.thumbnail", lambda path: "data:")
    outputs = {Source(f"a/{i:02d}", "a"): f"train/a/{i:02d}.jpg" for i in range(photos)}
    names = ("a", *(f"b{i}" for i in range(classes - 1)))
    sheet = contact_sheet(summary(classes=names), tmp_path, outputs)
    assert len(sheet) == classes
    assert len(sheet["a"]) == shown
    if photos == 20:  # every third
        assert [name for name, _ in sheet["a"]] == [f"{i:02d}.jpg" for i in range(0, 18, 3)]


def test_a_thumbnail_is_small(tmp_path):
    path = save(tmp_path / "a.jpg", picture(1, size=(400, 200)))
    uri = thumbnail(path)
    head, _, data = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.size == (192, 96)


def test_counts_of_a_summary():
    repeated = summary(copies=3, broken={"x": "y"})
    assert repeated.counts() == {
        "photos": 4,
        "train": 3,
        "validation": 0,
        "test": 1,
        "broken": 1,
        "duplicates": 3,
    }
    assert build.empty_splits(repeated) == ["validation"]


def test_equal_photos_are_duplicates_conflicts_and_leaks(tmp_path):
    def source(path: str, split: str | None = None) -> Source:
        return Source(path, path[0], split)

    pixels = {"a1": "x", "a2": "x", "b1": "y", "a3": "y", "b2": "z", "b3": "z", "b4": "w"}
    photos = {source(path): replace(PHOTO, pixels=hash_) for path, hash_ in pixels.items()}
    splits = {source(path): "train" for path in pixels}
    splits[source("b3")] = "test"
    options = Options(tmp_path, tmp_path, seed=4)
    found = summarise(options, photos, splits, {source("c1"): "torn"}, Scan([]))
    assert found.classes == ("a", "b")
    assert found.by_class["b"] == {"train": 3, "validation": 0, "test": 1}
    assert found.by_split == {"train": 6, "validation": 0, "test": 1}
    assert found.repeated.duplicates == [["a1", "a2"], ["b2", "b3"]]
    assert found.repeated.conflicts == [["a3", "b1"]]
    assert found.repeated.leaks == [["b2", "b3"]]
    assert found.broken == {"c1": "torn"}
    assert found.seed == 4
    assert not found.presplit
    assert found.photos == 7
    given = {source("a1", "train"): PHOTO}
    assert summarise(options, given, {source("a1", "train"): "train"}, {}, Scan([])).presplit


@pytest.mark.parametrize(
    ("s3_uri", "start"), [("", ""), ("s3://b", "s3://b/"), ("s3://b/", "s3://b/")]
)
def test_lists_of_the_photos(s3_uri, start):
    one = Source("b/ü.png", "b")
    two = Source("a/2.jpg", "a")
    photos = {one: replace(PHOTO, changes=("x", "y")), two: PHOTO}
    splits = {one: "test", two: "train"}
    outputs = {one: "test/b/ü.jpg", two: "train/a/2.jpg"}
    files = manifests(photos, splits, outputs, ("a", "b"), s3_uri)
    lines = files["manifest.csv"].decode().splitlines()
    assert lines == [
        ",".join(COLUMNS),
        "test/b/ü.jpg,test,b,1,b/ü.png,JPEG,RGB,48,36,s,x; y",
        "train/a/2.jpg,train,a,0,a/2.jpg,JPEG,RGB,48,36,s,",
    ]
    assert json.loads(files["classes.json"]) == ["a", "b"]
    assert files["validation.manifest"] == b""
    (line,) = files["test.manifest"].decode().splitlines()
    entry = json.loads(line)
    assert entry["source-ref"] == f"{start}test/b/ü.jpg"
    assert entry["class"] == 1
    assert entry["class-metadata"]["class-name"] == "b"


def test_a_name_like_a_formula_is_text_in_the_list_and_true_elsewhere():
    one = Source("=a/-1.jpg", "=a")
    files = manifests({one: PHOTO}, {one: "test"}, {one: "test/=a/-1.jpg"}, ("=a",))
    _, line = files["manifest.csv"].decode().splitlines()
    assert line == "test/=a/-1.jpg,test,'=a,0,'=a/-1.jpg,JPEG,RGB,48,36,s,"
    names = json.loads(files["manifest.names.json"])
    assert names == {"'=a": "=a", "'=a/-1.jpg": "=a/-1.jpg"}
    assert json.loads(files["classes.json"]) == ["=a"]


def test_the_state_comes_back(tmp_path):
    state = PreparationState(True, {"seed": 0}, {"photos": 1}, {}, ["a"], {"b": "torn"}, ["c"])
    (tmp_path / ".staging").mkdir()
    state.write(tmp_path)
    read = read_state(tmp_path)
    assert read == replace(state, broken={}, ignored=[])
    written = json.loads((tmp_path / "prepare.json").read_text())
    assert written["version"] == 1
    assert written["state"] == "complete"
    assert written["broken"] == {"b": "torn"}
    replace(state, complete=False).write(tmp_path)
    assert not read_state(tmp_path).complete
    assert read_state(tmp_path / "new") == PreparationState()


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"version": 2}', '{"version": 1}'])
def test_a_foreign_state_is_refused(tmp_path, content):
    (tmp_path / "prepare.json").write_text(content)
    with pytest.raises(PrepareError, match="is not a file that this prepare wrote"):
        read_state(tmp_path)


def test_a_folder_of_another_origin_is_refused(tmp_path):
    (tmp_path / ".staging").mkdir()
    assert read_state(tmp_path) == PreparationState()
    (tmp_path / "b").touch()
    (tmp_path / "a").touch()
    with pytest.raises(PrepareError, match="holds 'a', which prepare did not write"):
        read_state(tmp_path)
