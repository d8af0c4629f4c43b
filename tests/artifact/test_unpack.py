"""Archives: what is written, what is refused, and what is cleaned up."""

import errno
import io
import tarfile
import tempfile
from pathlib import Path

import pytest

from artifact.archives import unpack
from artifact.archives.unpack import artifact_folder, discard, extract
from artifact.model import ArtifactError


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """The folder of temporary files, for this test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    # tempfile keeps the folder that it found first.
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def archive(path: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


# The archive by its own path, or by its folder's.
@pytest.mark.parametrize("by_name", [True, False])
def test_an_archive_is_unpacked_into_a_temporary_folder(tmp_path, temporary, by_name):
    path = archive(tmp_path / "model.tar.gz", ("model.json", b"{}"), ("code/a/b.py", b"pass"))
    folder = artifact_folder(path if by_name else tmp_path)
    assert folder.parent == temporary
    assert folder.name.startswith("slipway-model-")
    assert (folder / "model.json").read_bytes() == b"{}"
    assert (folder / "code/a/b.py").read_bytes() == b"pass"
    assert [found.name for found in temporary.iterdir()] == [folder.name]
    discard(folder)
    assert not any(temporary.iterdir())


def test_an_unpacked_model_is_taken_before_its_archive(tmp_path, temporary):
    archive(tmp_path / "model.tar.gz", ("model.json", b"other"))
    (tmp_path / "model.json").write_text("{}")
    assert artifact_folder(tmp_path) == tmp_path
    assert not any(temporary.iterdir())


@pytest.mark.parametrize("name", ["", "gone"])
def test_a_folder_without_model_and_archive_is_returned_as_it_is(tmp_path, temporary, name):
    assert artifact_folder(tmp_path / name) == tmp_path / name
    assert not any(temporary.iterdir())


def test_without_a_place_for_temporary_files_an_archive_is_refused(tmp_path, monkeypatch):
    def none() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    archive(tmp_path / "model.tar.gz", ("model.json", b"{}"))
    monkeypatch.setattr(tempfile, "gettempdir", none)
    unpack.discard_unpacked()
    with pytest.raises(ArtifactError, match="No usable temporary directory.* --tmpfs /tmp"):
        artifact_folder(tmp_path)


@pytest.mark.parametrize(
    "data, words",
    [(b"no archive", "neither plain nor in gzip"), (b"", "cannot be unpacked")],
)
def test_a_damaged_archive_leaves_nothing_behind(tmp_path, temporary, data, words):
    (tmp_path / "model.tar.gz").write_bytes(data)
    with pytest.raises(ArtifactError, match=words) as caught:
        artifact_folder(tmp_path)
    assert "expected a tar archive with model.json at its top" in str(caught.value)
    assert not any(temporary.iterdir())


def test_an_archive_that_is_cut_off_leaves_nothing_behind(tmp_path, temporary):
    path = archive(tmp_path / "model.tar.gz", ("model.json", bytes(range(256)) * 4000))
    # The end of gzip's stream is missing.
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ArtifactError, match="cannot be unpacked"):
        artifact_folder(tmp_path)
    assert not any(temporary.iterdir())


@pytest.mark.parametrize(
    "code, error, words",
    [
        # A full disk may be emptied: it is no fault of the archive.
        (errno.ENOSPC, MemoryError, "does not fit into .* when it is unpacked"),
        (errno.EIO, ArtifactError, "cannot be unpacked"),
    ],
)
def test_a_full_disk_is_a_lack_of_room_and_other_trouble_is_not(
    tmp_path, temporary, monkeypatch, code, error, words
):
    def failing(source: object, target: object) -> None:
        raise OSError(code, "trouble")

    archive(tmp_path / "model.tar.gz", ("model.json", b"{}"))
    monkeypatch.setattr("artifact.archives.unpack.shutil.copyfileobj", failing)
    with pytest.raises(error, match=words):
        artifact_folder(tmp_path)
    assert not any(temporary.iterdir())


def test_links_and_devices_are_left_out(tmp_path):
    with tarfile.open(tmp_path / "archive", "w") as tar:
        for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE)):
            member = tarfile.TarInfo(name)
            member.type = kind
            # Links could lead out of the folder.
            member.linkname = "/etc/passwd"
            tar.addfile(member)
        fifo = tarfile.TarInfo("fifo")
        fifo.type = tarfile.FIFOTYPE
        tar.addfile(fifo)
    folder = tmp_path / "folder"
    folder.mkdir()
    extract(tmp_path / "archive", folder)
    assert not any(folder.iterdir())


def test_a_file_outside_is_refused_or_left_out(tmp_path):
    path = archive(tmp_path / "archive", ("../outside", b"x"), ("inside", b"y"))
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(ValueError, match=r"'\.\./outside' would lie outside the folder"):
        extract(path, folder)
    assert not any(folder.iterdir())
    # Where strict is off, only the others are written.
    extract(path, folder, strict=False)
    assert [found.name for found in folder.iterdir()] == ["inside"]
    assert not (tmp_path / "outside").exists()


def test_an_error_without_words_gets_some(tmp_path, monkeypatch):
    def ended(*_: object, **__: object) -> tarfile.TarFile:
        raise EOFError

    archive(tmp_path / "archive")
    monkeypatch.setattr("artifact.archives.tar_archive.TarFile", ended)
    with pytest.raises(ValueError, match="it ends too early"):
        extract(tmp_path / "archive", tmp_path / "folder")


# A name of its own, or a place of its own, is not enough.
@pytest.mark.parametrize("place, name", [("temporary", "own"), ("elsewhere", unpack.PREFIX)])
def test_only_folders_of_unpacked_archives_are_discarded(tmp_path, temporary, place, name):
    folder = tmp_path / place / name
    folder.mkdir(parents=True)
    discard(folder)
    assert folder.is_dir()
