"""A channel with files that have no end: a training says so before it reads any."""

import os
from pathlib import Path

import pytest

from artifact.preprocessing import PhotoError
from tests.support.jobs import draw_channel
from train.data.channels import read_channels


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_a_file_without_an_end_is_named(tmp_path: Path, kind, multi_label):
    channel = tmp_path / "train"
    draw_channel(channel, 2)
    for number in range(2):  # of equal size: such files are compared
        path = channel / "red" / f"x{number}.jpg"
        if kind == "fifo":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero")
    with pytest.raises(PhotoError, match=r"photo '.*red/x[01]\.jpg': it is not a regular file"):
        read_channels({"train": channel}, (0.7, 0.1, 0.2), 0, multi_label=multi_label)
