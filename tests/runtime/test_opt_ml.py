"""The /opt/ml tree is the same, whichever way it was made."""

import json
import os
import subprocess
from pathlib import Path

from runtime.opt_ml import configure, lay_out
from tests.support.jobs import REPOSITORY, draw_channel

FILES = ("hyperparameters", "inputdataconfig", "resourceconfig")


def config(root: Path) -> dict[str, dict[str, object]]:
    return {name: json.loads((root / f"input/config/{name}.json").read_text()) for name in FILES}


def test_train_sh_writes_what_the_one_writer_writes(tmp_path):
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text("#!/bin/sh\nexit 0\n")  # the tree is what counts, not the training
    docker.chmod(0o755)
    by_shell = tmp_path / "by_shell"
    for name in ("train", "test"):
        (by_shell / "input/data" / name).mkdir(parents=True)
    subprocess.run(
        [REPOSITORY / "local_test/train.sh", "image", by_shell],
        env={**os.environ, "PATH": f"{docker.parent}:{os.environ['PATH']}", "GPUS": "none"},
        check=True,
    )
    by_writer = tmp_path / "by_writer"
    (by_writer / "input/config").mkdir(parents=True)
    configure(by_writer, {}, {"test": {}, "train": {}})
    assert config(by_shell) == config(by_writer)


def test_channels_are_files_a_link_or_left_to_a_mount(tmp_path):
    photos = draw_channel(tmp_path / "photos", 1)
    names = {path.relative_to(photos) for path in photos.rglob("*")}
    for by in ("files", "folder", "mount"):
        lay_out(tmp_path / by, {"lr": 0.1, "freeze": ["a", "b"]}, {"train": photos}, by)
        written = config(tmp_path / by)
        assert written["hyperparameters"] == {"lr": "0.1", "freeze": "a,b"}
        assert set(written["inputdataconfig"]) == {"train"}
    copied = tmp_path / "files/input/data/train"
    assert not copied.is_symlink()
    assert {path.relative_to(copied) for path in copied.rglob("*")} == names
    assert (tmp_path / "folder/input/data/train").readlink() == photos
    assert not any((tmp_path / "mount/input/data").iterdir())
