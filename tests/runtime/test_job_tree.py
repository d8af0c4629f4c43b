"""No link that a container leaves in its tree leads to the machine's own files."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from runtime import job_tree, opt_ml
from runtime.job_tree import OutwardLink

SECRET = "the user's own"


@pytest.fixture
def root(tmp_path):
    """A tree with an ordinary file, links within it, and links out of it of every sort."""
    outside = tmp_path / "home"
    (outside / "folder").mkdir(parents=True)
    (outside / "secret").write_text(SECRET)
    (outside / "folder" / "secret").write_text(SECRET)
    root = tmp_path / "ml"
    model = root / "model"
    (model / "parts").mkdir(parents=True)
    (model / "parts" / "weights").write_text("weights")
    (model / "within").symlink_to("parts/weights")
    (model / "absolute").symlink_to(model / "parts" / "weights")
    (model / "again").symlink_to("parts")
    (model / "secret").symlink_to(outside / "secret")
    (model / "relative").symlink_to("../../home/secret")
    (model / "folder").symlink_to(outside / "folder")
    (model / "twice").symlink_to("secret")
    (model / "nothing").symlink_to("nowhere")
    (model / "itself").symlink_to("itself")
    (model / "proc").symlink_to("/proc/self/environ")
    os.mkfifo(model / "fifo")
    return root


OUTWARD = ("secret", "relative", "folder/secret", "twice", "proc")


@pytest.mark.parametrize("name", OUTWARD)
def test_a_link_out_is_not_opened(root, name):
    with pytest.raises(OutwardLink, match="leads out"):
        job_tree.open_inside(root, f"model/{name}")
    assert job_tree.read_inside(root, f"model/{name}", 100) is None


@pytest.mark.parametrize("name", ["../home/secret", "/etc/passwd", "model/../../home/secret", ""])
def test_a_name_out_is_not_opened(root, name):
    with pytest.raises(OutwardLink):
        job_tree.open_inside(root, name)


@pytest.mark.parametrize("name", ["fifo", "parts"])
def test_only_ordinary_files_are_opened(root, name):
    with pytest.raises(OSError):
        job_tree.open_inside(root, f"model/{name}")


def test_links_within_the_tree_are_followed(root):
    for name in ("parts/weights", "within", "absolute", "again/weights"):
        assert job_tree.read_inside(root, f"model/{name}", 3) == b"wei"
    assert list(job_tree.files_inside(root, "model")) == ["absolute", "parts/weights", "within"]


def test_a_part_that_is_a_link_out_has_no_files(root):
    (root / "output").symlink_to(root.parent / "home")
    assert list(job_tree.files_inside(root, "output")) == []
    assert list(job_tree.files_inside(root, "output/folder")) == []
    assert job_tree.failure(root) == ""


def test_a_link_that_comes_after_the_look_is_refused(root, monkeypatch):
    """The container is faster: what was a file, or a folder, is a link when it is opened."""
    real = os.path.realpath
    for name in ("model/parts/weights", "model/parts"):
        swapped = root / name

        def swapping(path, swapped=swapped):
            found = real(path)
            if str(path).endswith("weights") and not swapped.is_symlink():
                swapped.rename(root / "moved")
                swapped.symlink_to(root.parent / "home" / "secret")
            return found

        monkeypatch.setattr(os.path, "realpath", swapping)
        with pytest.raises(OSError):
            job_tree.open_inside(root, "model/parts/weights")
        monkeypatch.undo()
        swapped.unlink()
        (root / "moved").rename(swapped)


def test_a_long_failure_is_cut(root):
    (root / "output").mkdir()
    with open(root / "output" / "failure", "wb") as file:
        file.truncate(2**40)  # a sparse file of 1 TB
    assert len(job_tree.failure(root)) <= job_tree.MOST_FAILURE_BYTES


def test_links_out_are_taken_away(root):
    job_tree.drop_outward_links(root)
    left = sorted(path.name for path in (root / "model").iterdir() if path.is_symlink())
    assert left == ["absolute", "again", "itself", "nothing", "within"]
    assert (root.parent / "home" / "folder" / "secret").read_text() == SECRET


def test_an_archive_holds_nothing_from_outside(root, tmp_path):
    opt_ml.pack_model(root, tmp_path / "model.tar.gz")
    with tarfile.open(tmp_path / "model.tar.gz") as archive:
        found = {member.name: member for member in archive}
        assert set(found) == {"parts", "parts/weights", "within", "absolute", "again"}
        assert found["within"].issym() and found["parts"].isdir()
        content = archive.extractfile("parts/weights")
        assert isinstance(content, io.BufferedReader) and content.read() == b"weights"
    with pytest.raises(OutwardLink):
        (root / "link").mkdir()
        (root / "link" / "model").symlink_to(root.parent / "home")
        opt_ml.pack_model(root / "link", tmp_path / "other.tar.gz")


def test_a_new_attempt_writes_through_no_link(root):
    home = root.parent / "home"
    for name in ("input", "output", "checkpoints"):
        (root / name).symlink_to(home)
    opt_ml.make_folders(root)
    opt_ml.configure(root, {}, {})
    assert sorted(path.name for path in home.iterdir()) == ["folder", "secret"]
    assert Path(root / "input" / "config" / "hyperparameters.json").is_file()
