"""The model folder of the server: as files, as an archive, or not usable."""

import os
import subprocess
import sys
import tarfile

import pytest

from artifact.archives.unpack import artifact_folder
from artifact.model import ArtifactError, read_description
from runtime.ports import free_port
from tests.support.jobs import REPOSITORY
from tests.support.servers import photo, serving

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda folder: (folder / "model.json").unlink(), "holds no model.json"),
        (
            lambda folder: (folder / "model.onnx").write_bytes(b"x"),
            "is not a graph that OpenVINO reads",
        ),
        (
            lambda folder: (folder / "model.json").write_text(
                # One class more than the graph has.
                (folder / "model.json").read_text().replace('"red"', '"red", "white"')
            ),
            "classes 3; model.json says 4",
        ),
        (
            lambda folder: [
                (folder / "model.tar.gz").write_bytes(b"x"),
                (folder / "model.json").unlink(),
            ],
            "cannot be unpacked",
        ),
    ],
)
def test_a_model_that_cannot_be_used_ends_the_server_with_one_sentence(
    colours, tmp_path, spoil, words
):
    for path in colours.model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    spoil(tmp_path)
    environment = {
        **os.environ,
        "SLIPWAY_MODEL_DIR": str(tmp_path),
        "SAGEMAKER_BIND_TO_PORT": str(free_port()),
        "SLIPWAY_PRECISION": "f32",
    }
    done = subprocess.run(
        [sys.executable, "-m", "serve"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_read_only_model_folder_with_foreign_files_serves(colours, tmp_path):
    for path in colours.model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    # Slipway's own and the user's files may lie side by side.
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "code").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    assert read_description(tmp_path).classes == ("blue", "green", "red")
    with serving(tmp_path) as running:
        assert running.label(photo("blue")) == "blue"
    # Nothing was written into it.
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_model_that_is_still_an_archive_serves(colours, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    folder = tmp_path / "model"
    folder.mkdir()
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        for path in colours.model.iterdir():
            archive.add(path, path.name)
    for model in (folder, folder / "model.tar.gz"):
        with serving(model) as running:
            assert running.label(photo("green")) == "green"
    # The unpacked files went with the server.
    assert not list(tmp_path.glob("slipway-*"))
    assert [path.name for path in folder.iterdir()] == ["model.tar.gz"]


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped-absolute"])
def test_an_archive_cannot_write_outside_its_folder(tmp_path, name):
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(__file__, "held")
        member = archive.gettarinfo(__file__)
        # The name is what the archive says, not what is there.
        member.name = name
        with open(__file__, "rb") as source:
            archive.addfile(member, source)
    with pytest.raises(ArtifactError, match="would lie outside the folder"):
        artifact_folder(tmp_path)
    assert not (tmp_path / "escaped").exists()
