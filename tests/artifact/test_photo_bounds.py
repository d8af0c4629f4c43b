"""What a small file may cost: nothing is allocated or gone through by what its header claims."""

import ast
import io
import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from artifact.photos import bounds, jpeg_bounds, tiff_bounds
from artifact.photos.bounds import photo_header
from artifact.photos.decoder import MAX_PIXELS, decode
from artifact.photos.formats import FORMATS
from artifact.photos.kinds import PhotoError, kind_of
from local_test import hostile_photos as hostile
from tests.support.jobs import REPOSITORY
from tests.support.servers import photo

PEAKS = r"""
import json, re, time
from artifact.photos.decoder import decode
from artifact.photos.kinds import PhotoError
from local_test.hostile_photos import HEAVY, NEVER_OPENED
from tests.support.servers import photo

def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])

decode(photo())
found = {}
for name, data in {**NEVER_OPENED, **HEAVY}.items():
    before = peak()
    started = time.process_time()
    try:
        decode(data)
        sentence = "decoded"
    except PhotoError as error:
        sentence = str(error)
    found[name] = (peak() - before, time.process_time() - started, sentence)
print(json.dumps(found))
"""
GROWTH_KB = 64 * 1024
LONGEST_S = 2.0


@pytest.mark.slow
def test_no_small_file_takes_memory_or_time():
    """Measured in a process of its own, whose peak is of these files alone."""
    done = subprocess.run(
        [sys.executable, "-c", PEAKS], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert set(found) == {*hostile.HEAVY, *hostile.NEVER_OPENED}
    wrong = {
        name: (kilobytes, seconds, sentence)
        for name, (kilobytes, seconds, sentence) in found.items()
        if kilobytes > GROWTH_KB or seconds > LONGEST_S or sentence == "decoded"
    }
    assert wrong == {}
    assert done.stderr == ""  # what libtiff says would be lines without a form in a log


@pytest.mark.parametrize("name", hostile.NEVER_OPENED)
def test_other_formats_are_never_opened(name, monkeypatch):
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("Pillow has opened it"))
    with pytest.raises(PhotoError, match="unknown format|drawing|text|not read|data"):
        decode(hostile.NEVER_OPENED[name])


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_is_opened_as_itself_alone(kind, monkeypatch):
    given: list[object] = []
    opened = Image.open

    def noting(file: io.BytesIO, formats: object = None) -> Image.Image:
        given.append(formats)
        return opened(file, formats=formats)  # type: ignore[arg-type]  # passed on as it is

    monkeypatch.setattr(Image, "open", noting)
    assert kind_of(photo("red", kind)).name == kind
    assert decode(photo("red", kind)).size == (50, 40)
    assert given == [(kind,)]


def test_photos_are_opened_in_one_place_alone():
    """Whoever opens a file by Pillow itself opens any of its formats."""
    packages = [path.parent for path in REPOSITORY.glob("*/__init__.py")]
    # these make photos, and open what they made
    own = {"tests", "local_test", "conformance"}
    callers = [
        str(path.relative_to(REPOSITORY))
        for package in packages
        if package.name not in own
        for path in package.rglob("*.py")
        if "Image.open(" in path.read_text(encoding="utf-8")
    ]
    assert callers == ["artifact/photos/decoder.py"]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_tiffs_of_both_orders_and_sizes_are_read(order, big):
    entries = hostile.grey(9, 7) | {259: (3, [8]), 273: (16 if big else 4, [16])}
    data = hostile.tiff(entries, order, big, content=bytes(63))
    header = photo_header(data, MAX_PIXELS)
    assert (header.width, header.height, header.pixels) == (9, 7, 63)
    if big and order == ">":
        return  # Pillow does not read these
    grey = hostile.tiff(hostile.grey(9, 7), order, big, content=bytes([7] * 63))
    assert decode(grey).getpixel((8, 6)) == (7, 7, 7)


@pytest.mark.parametrize("start", [2**63 - 1, 2**63, 2**64 - 1])
def test_a_place_beyond_any_file_is_one_sentence(start):
    data = struct.pack("<2sHHHQ", b"II", 43, 8, 0, start)
    with pytest.raises(PhotoError, match="beyond its end|ends within its header"):
        decode(data + bytes(100))


def test_a_tile_that_is_larger_than_its_photo_counts():
    assert photo_header(hostile.tiled(256), MAX_PIXELS).pixels == 256 * 256
    with pytest.raises(
        PhotoError, match="it has 8 x 8 pixels, and its parts 65,536; at most 65,535"
    ):
        photo_header(hostile.tiled(256), 65_535)


@pytest.mark.parametrize(
    "changed, words",
    [
        ({277: (3, [7])}, "7 samples per pixel"),
        ({277: (4, [2**31])}, "samples per pixel"),
        ({32997: (4, [9])}, "several layers"),
        ({32998: (4, [9])}, "several layers"),
        ({259: (3, [34925])}, "compression 34925"),
        ({259: (3, [50000])}, "compression 50000"),
        ({257: (4, [60_000]), 278: (4, [1])}, "60000 strips or tiles"),
        ({257: (4, [20_000]), 278: (4, [1]), 277: (3, [3]), 284: (3, [2])}, "60000 strips"),
        ({322: (4, [1]), 323: (4, [1]), 256: (4, [300]), 257: (4, [300])}, "90000 strips"),
        ({323: (4, [2**27]), 259: (3, [4])}, "have one side only"),
        ({322: (4, [2**27]), 259: (3, [4])}, "have one side only"),
        ({322: (4, [2**27]), 323: (4, [0])}, "have one side only"),
        ({273: (4, [16] * 9), 259: (3, [5])}, "have no sizes"),
        ({279: (4, [999_999]), 259: (3, [5])}, "claim more bytes than the file has"),
        ({256: (5, [])}, "tag 256 cannot be read"),
    ],
)
def test_a_tiff_claims_no_more_than_photos_do(changed, words):
    entries = hostile.grey() | {tag: value for tag, value in changed.items() if value[0] != 5}
    data = hostile.tiff(entries, content=bytes(64))
    if 256 in changed and changed[256][0] == 5:
        start = data.index(b"\0\1\4\0")  # of the entry of the width: its type becomes RATIONAL
        data = data[: start + 2] + b"\5" + data[start + 3 :]
    with pytest.raises(PhotoError, match=words):
        decode(data)


def test_a_tag_that_is_there_twice_is_not_believed():
    data = hostile.tiff(hostile.grey(), content=bytes(64))
    data = data.replace(b"\x15\1\3\0", b"\0\1\3\0")  # 277, the samples, becomes a second width
    with pytest.raises(PhotoError, match="its tag 256 twice"):
        decode(data)


@pytest.mark.parametrize("tags", [257, 65_535])
def test_a_tiffs_tags_are_counted_before_they_are_read(tags):
    data = b"II*\0\x08\0\0\0" + tags.to_bytes(2, "little") + bytes(12 * tags)
    with pytest.raises(PhotoError, match=f"{tags} tags; at most {tiff_bounds.MAX_TAGS}"):
        decode(data)


def test_tags_share_no_bytes_of_the_file():
    entries = hostile.grey() | {60_000 + tag: (1, [0] * 999) for tag in range(20)}
    data = hostile.tiff(entries, content=bytes(64))
    assert photo_header(data, MAX_PIXELS).pixels == 64
    with pytest.raises(PhotoError, match="claim more bytes than the file has"):
        decode(data.replace((999).to_bytes(4, "little"), (2999).to_bytes(4, "little")))


@pytest.mark.parametrize(
    "make, most",
    [
        (lambda n: hostile.jpeg_segments(0xEF, n), jpeg_bounds.MAX_SEGMENTS),
        (hostile.jpeg_filling, jpeg_bounds.MAX_FILLING),
        (hostile.gif_comments, bounds.MAX_GIF_BLOCKS),
        (lambda n: hostile.png_chunks(b"prVt", n), bounds.MAX_CHUNKS),
        (lambda n: hostile.png_chunks(b"zTXt", n, b"k\0\0"), bounds.MAX_TEXTS),
    ],
)
def test_counts_are_bounded(make, most):
    with pytest.raises(PhotoError, match="far more"):
        photo_header(make(most + 2), MAX_PIXELS)
    try:
        photo_header(make(most // 3), MAX_PIXELS)
    except PhotoError as error:  # for it has no pixels, perhaps
        assert "far more" not in str(error)


@pytest.mark.parametrize("kind", FORMATS)
def test_any_cut_of_a_photo_is_refused_in_one_sentence(kind):
    data = photo("red", kind)
    for end in range(0, min(len(data), 700), 7):
        try:
            decode(data[:end])
        except PhotoError as error:
            assert "\n" not in str(error)


def test_the_dearest_photo_is_planned_as_the_dearest():
    small = photo_header(photo("red", "JPEG"), MAX_PIXELS)
    large = photo_header(photo("red", "JPEG", size=(2000, 2000)), MAX_PIXELS)
    buffer = io.BytesIO()
    Image.new("RGB", (2000, 2000)).save(buffer, "JPEG", progressive=True)
    progressive = photo_header(buffer.getvalue(), MAX_PIXELS)
    assert 0 < small.seconds < 0.002 < large.seconds < progressive.seconds < 1


def test_a_large_exif_is_no_reason_to_refuse(tmp_path: Path):
    exif = Image.Exif()
    exif[0x010E] = "a" * 60_000
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10)).save(buffer, "JPEG", exif=exif)
    assert decode(buffer.getvalue()).size == (10, 20)


@pytest.mark.parametrize("make", [hostile.png_exif, hostile.jpeg_exif])
@pytest.mark.parametrize(
    "tags, numbers, words",
    [(998, 1, None), (999, 1, "more Exif tags"), (1, 200_000, None), (2, 200_000, "more numbers")],
)
def test_exif_data_is_counted(make, tags, numbers, words):
    data = make(hostile.exif(tags, numbers))
    if words is None:
        assert photo_header(data, MAX_PIXELS).pixels == 64
        return
    with pytest.raises(PhotoError, match=words):
        photo_header(data, MAX_PIXELS)


def test_damaged_exif_data_costs_no_photo():
    data = hostile.png_exif(b"II*\0\xff\xff\xff\xff")
    assert photo_header(data, MAX_PIXELS).pixels == 64
    endless = b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHII", 0x8769, 4, 1, 8) + bytes(4)
    with pytest.raises(PhotoError, match="more Exif tags"):
        photo_header(hostile.png_exif(endless), MAX_PIXELS)


def test_the_images_try_every_format_while_they_are_built():
    source = (Path(__file__).parents[2] / "docker" / "warm_engine.py").read_text()
    (line,) = [line for line in source.splitlines() if line.startswith("FORMATS = ")]
    assert ast.literal_eval(line.removeprefix("FORMATS = ")) == FORMATS


def _tiff(**tags: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "TIFF", **tags)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "tags", [{50706: b"\1\4\0\0"}, {254: 1, 271: "Maker", 330: 8}, {262: 32803}], ids=str
)
def test_a_cameras_raw_file_is_no_tiff(tags):
    with pytest.raises(PhotoError, match="it is a camera's raw file"):
        decode(_tiff(tiffinfo=tags))


def test_a_tiff_of_samples_that_are_not_read_is_named():
    data = _tiff(tiffinfo={339: (3, 3, 3)})
    with pytest.raises(PhotoError, match="TIFF in RGB, of 3 float samples of 8 bits.*save it"):
        decode(data)
