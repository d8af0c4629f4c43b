"""Zip archives of photos: names as people's programs write them, and hostile ones refused."""

import io
import struct
import zipfile
from pathlib import Path

import pytest

from artifact.archives.unpack import ArchiveBounds, extract, extract_photos, is_archive

BOUNDS = ArchiveBounds(members=20, levels=4, size=1_000_000)


def archive(path: Path, members: dict[str, bytes], **options: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = options.get(name, 0) << 16
            opened.writestr(info, data)
    return path


def unpacked(path: Path) -> set[str]:
    folder = path.parent / "out"
    extract_photos(path, folder, BOUNDS)
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_files_are_written_and_links_and_what_lies_outside_are_not(tmp_path):
    path = archive(tmp_path / "x.zip", {"a/1.jpg": b"1", "a/": b"", "../2.jpg": b"2", "b": b"/etc"})
    assert is_archive(path)
    assert unpacked(path) == {"a/1.jpg", "b"}
    assert not (tmp_path / "2.jpg").exists()
    link = archive(tmp_path / "y.zip", {"l": b"/etc/passwd"}, l=0o120777)
    (tmp_path / "other").mkdir()
    (reason,) = extract_photos(link, tmp_path / "other", BOUNDS).values()
    assert reason.startswith("it is a symbolic link")
    assert not list((tmp_path / "other").iterdir())


@pytest.mark.parametrize("written", ["Café/1.jpg", "猫/1.jpg"])
def test_names_in_utf_8_without_the_flag_are_read(tmp_path, written):
    path = archive(tmp_path / "x.zip", {written: b"1"})
    data = bytearray(path.read_bytes())
    for start, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(start) + at
        flags = struct.unpack_from("<H", data, place)[0]
        struct.pack_into("<H", data, place, flags & ~0x800)
    path.write_bytes(bytes(data))
    assert unpacked(path) == {written}


def test_backslashes_are_folders(tmp_path):
    assert unpacked(archive(tmp_path / "x.zip", {"a\\1.jpg": b"1"})) == {"a/1.jpg"}


def too_many() -> bytes:
    return _zip({f"{number}.jpg": b"" for number in range(21)})


def too_large() -> bytes:
    return _zip({"1.jpg": bytes(1_000_001)})


def encrypted() -> bytes:
    data = bytearray(_zip({"1.jpg": b"1"}))
    for start, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(start) + at] |= 1
    return bytes(data)


def lying() -> bytes:
    """A member that unpacks to more than its size says."""
    data = bytearray(_zip({"1.jpg": bytes(50_000)}))
    for start, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<L", data, data.find(start) + at, 10)
    return bytes(data)


def huge_directory() -> bytes:
    data = bytearray(_zip({"1.jpg": b"1"}))
    struct.pack_into("<L", data, data.find(b"PK\x05\x06") + 12, 500_000_000)
    return bytes(data)


def large_directory(entries: int = 100, told: bool = False) -> bytes:
    """Entries that point nowhere, in a directory whose true size the record of 64 bits alone tells.

    told: the old record gives the true size, too.
    """
    name = b"a"
    entry = struct.pack("<4s42x", b"PK\x01\x02") + name
    entry = entry[:28] + struct.pack("<H", len(name)) + entry[30:]
    directory = entry * entries
    size = len(directory)
    start = b"PK\x03\x04" + bytes(26)
    at = len(start) + size
    large = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, size, 30)
    large += struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    shown = size if told else 100
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, shown, 30, 0)
    return start + directory + (b"" if told else large) + end


def large_directory_told() -> bytes:
    return large_directory(told=True)


def by_lzma() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as opened:
        opened.writestr("1.jpg", b"1")
    return buffer.getvalue()


def torn() -> bytes:
    return _zip({"1.jpg": bytes(range(256))})[:-30]


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in members.items():
            opened.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (too_many, "more than 20 members"),
        (too_large, "more than 1 MB in all"),
        (encrypted, "it is encrypted; unpack it"),
        (lying, "CRC"),
        (huge_directory, "its directory is larger than that of 20 members"),
        (large_directory, "its directory is larger than that of 20 members"),
        (large_directory_told, "its directory is larger than that of 20 members"),
        (by_lzma, "compressed by the method 14, which is not read; unpack it"),
        (torn, "it ends too early for a zip archive"),
    ],
)
def test_hostile_archives_are_refused_and_leave_nothing(tmp_path, make, words):
    path = tmp_path / "x.zip"
    path.write_bytes(make())
    with pytest.raises(ValueError, match=words):
        unpacked(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.zip"]


def test_a_model_is_no_zip_archive(tmp_path):
    path = archive(tmp_path / "x.zip", {"model.json": b"{}"})
    with pytest.raises(ValueError, match="it is no tar archive"):
        extract(path, tmp_path / "out")
