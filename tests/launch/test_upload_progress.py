"""Progress of an upload: by bytes, with the time that is left, and what is left out."""

import io
from types import SimpleNamespace

import pytest

from launch import upload_progress
from launch.channels import say_left_out
from launch.upload_progress import CountedFile, Progress


@pytest.fixture
def counted(monkeypatch):
    """A progress of 2 MB that sees these times, in seconds, and its lines."""

    def made(*times: float) -> tuple[Progress, list[str]]:
        given = list(times)
        clock = SimpleNamespace(monotonic=lambda: given.pop(0))
        monkeypatch.setattr(upload_progress, "time", clock)
        printed: list[str] = []
        return Progress("train", 2_000_000, printed.append), printed

    return made


@pytest.mark.parametrize(
    "times, lines",
    [
        ([0.0, 4.9, 4.99], []),
        ([0.0, 5.0, 9.9], ["upload: train: 1.0 of 2.0 MB, 0.2 MB/s, 5 s left"]),
        ([10.0, 14.0, 15.0], ["upload: train: 2.0 of 2.0 MB, 0.4 MB/s, 0 s left"]),
        ([0.0, 500.0, 501.0], ["upload: train: 1.0 of 2.0 MB, 0.0 MB/s, 8 min left"]),
    ],
)
def test_a_line_every_5_s_says_the_time_left(counted, times, lines):
    progress, printed = counted(*times)
    for _ in range(2):
        progress.add(1_000_000)
    assert printed == lines


def test_a_large_file_is_counted_as_it_is_read_and_once(counted):
    progress, printed = counted(0.0, 5.0, 10.0)
    body = CountedFile(io.BytesIO(b"1" * 2_000_000), progress)
    body.read(1_000_000)
    # The attempt failed: another one begins anew.
    body.seek(0)
    while body.read(500_000):
        if body.tell() == 1_500_000:
            break
    assert [line.split(",")[0] for line in printed] == [
        "upload: train: 1.0 of 2.0 MB",
        "upload: train: 1.5 of 2.0 MB",
    ]


def test_what_is_left_out_is_said(colours, tmp_path):
    for name in ("red/1.jpg", "red/.DS_Store", ".git/config", ".hidden"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_text("")
    one = colours()
    say_left_out(one.context, "train", tmp_path / "photos")
    assert one.printed == ["upload: train: left out: 3 hidden, such as '.git'"]
    say_left_out(one.context, "train", tmp_path / "photos/.git")
    assert len(one.printed) == 1
