"""Archives that would fill the disk, the memory or the time: refused, with nothing left behind."""

import gzip
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from artifact.archives import unpack
from artifact.archives.unpack import ArchiveBounds, artifact_folder, discard, extract
from artifact.model import ArtifactError
from tests.support.jobs import REPOSITORY

BOUNDS = ArchiveBounds(members=20, levels=4, size=100_000)


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch) -> Path:
    """The folder of temporary files, for this test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A member's header of 512 bytes, whatever follows it."""
    member = tarfile.TarInfo(name)
    member.size = abs(size)
    member.type = kind
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    if size < 0:  # in base 256, as GNU tar writes what octal digits cannot hold
        block[124:136] = (256**12 + size).to_bytes(12, "big")
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def packed(*blocks: bytes) -> bytes:
    return gzip.compress(b"".join(blocks) + bytes(1024))


def pax(record: bytes) -> bytes:
    """A pax header with one record, as a member of its own."""
    padding = bytes(-len(record) % 512)
    return header("pax", len(record), tarfile.XHDTYPE) + record + padding


def many(count: int, name: str = "{}") -> bytes:
    return packed(*(header(name.format(number)) for number in range(count)))


SPARSE = bytearray(header("hole", 512, tarfile.GNUTYPE_SPARSE))
SPARSE[386:398] = b"00000000000\0"  # the first block of data: at byte 0
SPARSE[398:410] = b"00000001000\0"  # of 512 bytes
SPARSE[483:495] = (1 << 42 | 0x80 << 88).to_bytes(12, "big")  # the real size: 4 TB
SPARSE[148:156] = b" " * 8
SPARSE[148:156] = b"%06o\0 " % sum(SPARSE)

HOSTILE = {
    "sparse": (packed(bytes(SPARSE), bytes(512)), "'hole' is a sparse file"),
    "sparse by pax": (
        packed(
            pax(b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"), header("a", 512), b"0\n" * 256
        ),
        "is a sparse file",
    ),
    "4 TB claimed": (packed(header("a", 1 << 42)), "its files have more than 0 MB in all"),
    "a bomb": (packed(header("a", 99_999), bytes(100_352), header("b", 2)), "more than 0 MB"),
    "many members": (many(60_000), "more than 20 members"),
    "many folders": (many(60_000, "{}/"), "more than 20 members"),
    "nested": (packed(header("a/" * 4 + "a")), "more than 4 levels deep"),
    "nested folders": (
        packed(
            header("pax", 3001, tarfile.GNUTYPE_LONGNAME), b"a/" * 1500 + bytes(72), header("a")
        ),
        "more than 4 levels deep",
    ),
    # Python 3.14 itself refuses these two, as damaged.
    "a size below 0": (
        packed(header("b"), header("a", -512)),
        "has a size below 0|a header in it is damaged",
    ),
    "a header below 0": (
        packed(header("b"), header("a", -512, tarfile.XHDTYPE)),
        "far larger than those|a header in it is damaged",
    ),
    "a damaged header": (packed(header("a"), b"x" * 512), "a header in it is damaged"),
    "half a header": (gzip.compress(header("a") + header("b")[:200]), "a header in it is damaged"),
    "a long name": (
        packed(header("a", 1 << 30, tarfile.GNUTYPE_LONGNAME), bytes(1 << 20)),
        "its headers are far larger than those of files",
    ),
    "a large pax header": (packed(pax(b"1" * 60_000), header("a")), "its headers are far larger"),
    "endless pax headers": (packed(*[pax(b"8 a=bcd\n")] * 100_000), "its headers are"),
    "names without end": (
        packed(*[header("a", 2, tarfile.GNUTYPE_LONGNAME) + b"a".ljust(512, b"\0")] * 2000),
        "its headers",
    ),
    "damaged gzip": (packed(header("a", 9000), os.urandom(9216))[:4000] + bytes(4000), ""),
    "not a tar archive": (gzip.compress(b"x" * 5000), "it is no tar archive"),
    "bzip2": (b"BZh91AY&SY" + bytes(600), "it is no tar archive"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_and_leaves_nothing(tmp_path, temporary, name):
    data, words = HOSTILE[name]
    path = tmp_path / "model.tar.gz"
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match="cannot be unpacked") as caught:
        artifact_folder(path, BOUNDS)
    assert any(part in str(caught.value) for part in words.split("|"))
    assert not any(temporary.iterdir())
    with pytest.raises(ValueError) as plain:
        extract(path, tmp_path / "folder/inner", bounds=BOUNDS)
    assert any(part in str(plain.value) for part in words.split("|"))
    assert not any((tmp_path / "folder").iterdir())


def test_the_bounds_themselves_are_allowed(tmp_path):
    path = tmp_path / "model.tar.gz"
    path.write_bytes(packed(*(header(f"a/b/c/{number}") for number in range(20))))
    extract(path, tmp_path / "folder", bounds=BOUNDS)
    assert len(list((tmp_path / "folder/a/b/c").iterdir())) == 20


def test_the_bounds_of_a_model():
    assert ArchiveBounds(1000, 16, 10 * 2**30) == unpack.MODEL_BOUNDS


def test_what_does_not_fit_on_the_disk_is_a_lack_of_room(tmp_path, temporary, monkeypatch):
    path = tmp_path / "model.tar.gz"
    path.write_bytes(packed(header("a", 9000), bytes(9216)))
    monkeypatch.setattr(unpack, "folder_room", lambda folder: 8999)
    with pytest.raises(MemoryError, match="does not fit into"):
        artifact_folder(path)
    assert not any(temporary.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_nothing_is_left_after_any_exception(tmp_path, temporary, monkeypatch, error):
    def interrupted(*_: object) -> None:
        raise error

    path = tmp_path / "model.tar.gz"
    path.write_bytes(packed(header("a"), header("b", 5), bytes(512)))
    monkeypatch.setattr("artifact.archives.unpack.shutil.copyfileobj", interrupted)
    with pytest.raises(error):
        artifact_folder(path)
    with pytest.raises(error):
        extract(path, tmp_path / "folder/inner")
    assert not any(temporary.iterdir())
    assert not any((tmp_path / "folder").iterdir())


def test_a_folder_is_as_it_was_until_all_is_unpacked(tmp_path):
    folder = tmp_path / "folder"
    (folder / "a").mkdir(parents=True)
    (folder / "a/old").write_text("old")
    (folder / "both").write_text("old")
    path = tmp_path / "archive"
    path.write_bytes(packed(header("a/new"), header("both"), header("c", -1)))
    with pytest.raises(ValueError):
        extract(path, folder)
    assert sorted(path.name for path in folder.rglob("*")) == ["a", "both", "old"]
    assert (folder / "both").read_text() == "old"
    path.write_bytes(packed(header("a/new"), header("both")))
    extract(path, folder)
    assert sorted(path.name for path in folder.rglob("*")) == ["a", "both", "new", "old"]
    assert (folder / "both").read_text() == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "folder", "temporary"]


KILLED = """
import sys, tempfile
from pathlib import Path
tempfile.tempdir = sys.argv[1]
from artifact.archives.unpack import artifact_folder
print(artifact_folder(Path(sys.argv[2])), flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_left_is_removed_and_a_living_ones_stays(tmp_path, temporary):
    path = tmp_path / "model.tar.gz"
    path.write_bytes(packed(header("a")))
    arguments = [sys.executable, "-c", KILLED, str(temporary), str(path)]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY, text=True
    ) as process:
        assert process.stdout
        other = Path(process.stdout.readline().strip())
        own = artifact_folder(path)
        assert other.is_dir() and own.is_dir()
        process.send_signal(signal.SIGKILL)
        process.wait()
    users = temporary / "slipway-model-training"
    users.mkdir()
    unpack.discard_unpacked()
    users.rmdir()  # it is still there
    assert [found for found in temporary.iterdir()] == [own]
    discard(own)
    assert not any(temporary.iterdir())
