"""A channel with files that have no end: they are passed by, and the log has a line on each."""

import os
from pathlib import Path

import pytest

from tests.support.jobs import draw_channel
from train.data.channels import read_channels
from train.job import JobError


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("kind", ["fifo", "device", "nothing"])
def test_a_file_without_an_end_is_passed_by(tmp_path: Path, caplog, kind, multi_label):
    channel = tmp_path / "train"
    draw_channel(channel, 2)
    for number in range(2):  # of equal size: such files are compared
        spoil(channel / "red" / f"x{number}.jpg", kind)
    found = read_channels({"train": channel}, (1.0, 0.0, 0.0), 0, multi_label=multi_label)
    assert len(found.train) == sum(1 for path in channel.rglob("*") if path.is_file())
    lines = [record.getMessage() for record in caplog.records]
    assert len([line for line in lines if "'red/x" in line]) == 2


def test_a_class_that_lost_all_its_photos_is_an_error(tmp_path: Path):
    channel = tmp_path / "train"
    draw_channel(channel, 2)
    (channel / "blues").mkdir()
    spoil(channel / "blues" / "x.jpg", "nothing")
    with pytest.raises(JobError, match=r"class '.*blues' has no photo .*link to nothing"):
        read_channels({"train": channel}, (1.0, 0.0, 0.0), 0)


def spoil(path: Path, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else "nowhere")
