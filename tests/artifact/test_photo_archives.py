"""Archives of photos: compressed in any usual way within the bounds, and nothing lost silently."""

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from artifact.archives import compressed_tar
from artifact.archives.unpack import ArchiveBounds, extract, extract_photos, is_archive

BOUNDS = ArchiveBounds(members=20, levels=4, size=1_000_000)
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


def tar(*members: tuple[str, bytes | str]) -> bytes:
    """An archive of files; a text in place of data is where a link leads: `-> a` or `= a`."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as opened:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                mark, _, member.linkname = content.partition(" ")
                member.type = tarfile.SYMTYPE if mark == "->" else tarfile.LNKTYPE
                content = b""
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))
    return data.getvalue()


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_every_usual_compression_is_read(tmp_path, name):
    files = {f"a/{number}": bytes([number]) * 40_000 for number in range(20)}
    path = written(tmp_path / "x", COMPRESSIONS[name](tar(*files.items())))
    assert is_archive(path)
    assert extract_photos(path, tmp_path / "out", BOUNDS) == {}
    assert {f"a/{file.name}": file.read_bytes() for file in (tmp_path / "out/a").iterdir()} == files


def test_xz_in_several_streams_is_read_to_its_end(tmp_path):
    data = tar(("a", b"1" * 30_000), ("b", b"2"))
    streams = [lzma.compress(data[:20_000]), bytes(8), lzma.compress(data[20_000:]), bytes(4)]
    path = written(tmp_path / "x", b"".join(streams))
    extract_photos(path, tmp_path / "out", BOUNDS)
    assert (tmp_path / "out/b").read_bytes() == b"2"


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (tar(("a", bytes(2_000_000))), "more than 1 MB in all"),
        (tar(*((str(number), b"") for number in range(21))), "more than 20 members"),
    ],
    ids=["large", "many"],
)
def test_bombs_are_refused_and_leave_nothing(tmp_path, name, data, words):
    path = written(tmp_path / "x", COMPRESSIONS[name](data))
    with pytest.raises(ValueError, match=words):
        extract_photos(path, tmp_path / "out", BOUNDS)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("name", ["bzip2", "xz"])
def test_torn_and_damaged_archives_are_refused(tmp_path, name):
    whole = COMPRESSIONS[name](tar(("a", bytes(range(256)) * 2000)))
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 255
    for number, data in enumerate((whole[: len(whole) // 2], bytes(damaged))):
        path = written(tmp_path / f"{number}", data)
        with pytest.raises((ValueError, OSError)):
            extract_photos(path, tmp_path / "out", BOUNDS)
        assert not (tmp_path / "out").exists()


def test_xz_that_needs_much_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(compressed_tar, "XZ_MEMORY", 1 << 20)
    path = written(tmp_path / "x", lzma.compress(tar(("a", b"1"))))  # 8 MiB by default
    with pytest.raises(ValueError, match="needs too much"):
        extract_photos(path, tmp_path / "out", BOUNDS)


def test_hard_links_are_files_and_all_other_links_are_named(tmp_path):
    members: list[tuple[str, bytes | str]] = [
        *(("a/1.jpg", b"one"), ("b/2.jpg", "= a/1.jpg"), ("b/3.jpg", "= a/later.jpg")),
        *(("a/later.jpg", b"x"), ("b/4.jpg", "-> /etc/passwd"), ("b/5.jpg", "= ../../x")),
        *(("../6.jpg", b"x"), ("a/1.jpg", b"another"), ("a/later.jpg", "= a/later.jpg")),
    ]
    path = written(tmp_path / "x", tar(*members))
    left_out = extract_photos(path, tmp_path / "out", BOUNDS)
    assert {name: reason.split(";")[0][:30] for name, reason in left_out.items()} == {
        "b/3.jpg": "it is a hard link to 'a/later.",
        "b/4.jpg": "it is a symbolic link in an ar",
        "b/5.jpg": "it is a hard link to '../../x'",
        "../6.jpg": "it would lie outside the folde",
    }
    found = {file.name: file.read_bytes() for file in (tmp_path / "out").rglob("*.jpg")}
    assert found == {"1.jpg": b"another", "2.jpg": b"one", "later.jpg": b"x"}


def test_names_from_the_root_are_taken_as_tar_takes_them(tmp_path):
    path = written(tmp_path / "x.tar", tar(("/data/cat/1.jpg", b"1"), ("../out.jpg", b"2")))
    assert list(extract_photos(path, tmp_path / "out", BOUNDS)) == ["../out.jpg"]
    assert (tmp_path / "out/data/cat/1.jpg").read_bytes() == b"1"


@pytest.mark.parametrize("name", ["n" * 300, ".", "a", "a/1/2"])
def test_a_name_without_a_place_costs_no_other_photo(tmp_path, name):
    path = written(tmp_path / "x", tar(("a/1", b"1"), (name, b"2"), ("b", b"3")))
    left_out = extract_photos(path, tmp_path / "out", BOUNDS)
    assert left_out.keys() == {name}
    assert left_out[name].startswith("its name has no place on this disk (")
    assert sorted(file.name for file in (tmp_path / "out").rglob("*") if file.is_file()) == [
        "1",
        "b",
    ]
    with pytest.raises(ValueError, match=f"of '{name[:100]}': its name has no place"):
        extract(path, tmp_path / "other", BOUNDS)
