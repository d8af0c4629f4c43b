"""What one process of a host makes for all, in a file that they map."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from train.data.channels import read_channels
from train.data.once_per_host import once_per_host
from train.data.shared_values import read_shared, write_shared
from train.distributed.context import ALONE
from train.job import JobError


@pytest.fixture
def photos(tmp_path) -> dict[str, Path]:
    for number in range(12):
        folder = tmp_path / "train" / f"class {number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}é.jpg").write_bytes(b"\xff\xd8\xff" + bytes(number))
    return {"train": tmp_path / "train"}


def test_a_list_of_photos_is_the_same_in_every_process_and_stays_in_its_file(photos):
    made = read_channels(photos, (0.5, 0.25, 0.25), 0)
    file = write_shared(made)
    found: Any = read_shared(file)
    file.unlink()
    assert found.classes == made.classes
    assert found.fingerprint == made.fingerprint
    for ours, theirs in ((found.train, made.train), (found.test, made.test)):
        assert ours.paths == theirs.paths
        assert ours.labels == theirs.labels
        assert ours.paths.fingerprint() == theirs.paths.fingerprint()
    # Photos of three channels are one index.
    assert found.train.paths.files is found.test.paths.files
    assert not found.train.paths.files.sizes.flags.writeable


def test_arrays_lie_where_numpy_wants_them(photos):
    values = [np.arange(5), np.arange(3, dtype=np.int8), np.ones((2, 3))]
    file = write_shared(values)
    found: Any = read_shared(file)
    for ours, theirs in zip(found, values, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.flags.aligned
    file.unlink()


def test_one_process_makes_its_own(photos):
    def fail() -> None:
        raise JobError("no photos")

    assert once_per_host(ALONE, lambda: 3) == 3
    with pytest.raises(JobError, match="no photos"):
        once_per_host(ALONE, fail)
