"""Checkpoint files: which ones are kept, removed, refused, and gone on from."""

import hashlib
import pickle
from pathlib import Path

import pytest
import torch

from artifact.photos.preprocessing import Preprocessing
from recipes.hyperparameters import Hyperparameters
from train.distributed.context import DistributedContext
from train.job import Job, JobError
from train.learning import checkpoint_seal
from train.learning.checkpoint import check_writable, load_checkpoint, save_checkpoint
from train.learning.loop import Learner
from train.learning.state import State

OURS = {"lr": 0.1}
THEIRS = {"lr": 0.2}


def make_learner(value: float = 0.0, rank: int = 0) -> Learner:
    """A learner of four weights, all of this value."""
    network = torch.nn.Linear(2, 2, bias=False)
    torch.nn.init.constant_(network.weight, value)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    settings = (Hyperparameters(), Preprocessing(), torch.device("cpu"))
    context = DistributedContext(rank=rank)
    return Learner(network, 2, [], optimizer, *settings, context=context)


def save(root: Path, epoch: int, identity: dict[str, float] = OURS, best_epoch: int = 0) -> None:
    """A checkpoint whose weights are its epoch, and whose best ones are 50."""
    # The value tells later which checkpoint was loaded.
    learner = make_learner(epoch)
    best = {"weight": torch.full((2, 2), 50.0)}
    state = State(epoch, [{"epoch": epoch}], best_epoch, best)
    save_checkpoint(Job(root), state, learner, identity)


def load(root: Path, identity: dict[str, float] = OURS) -> tuple[State, float]:
    """The state, and the value of the weights."""
    learner = make_learner()
    state = load_checkpoint(Job(root), learner, identity)
    return state, learner.network.get_parameter("weight")[0, 0].item()


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "checkpoints").iterdir())


def test_a_checkpoint_gives_back_what_was_saved(tmp_path):
    save(tmp_path, 3, best_epoch=2)
    state, value = load(tmp_path)
    assert value == 3.0
    assert state.epoch == 3
    assert state.history == [{"epoch": 3}]
    assert state.best_epoch == 2
    assert torch.equal(state.best["weight"], torch.full((2, 2), 50.0))


def test_the_best_values_are_the_networks_own_after_the_best_epoch(tmp_path):
    """The values are equal then; one of both is written."""
    save(tmp_path, 3, best_epoch=3)
    # The epoch's own value, 3, was not written.
    assert load(tmp_path)[1] == 50.0


def test_without_a_checkpoint_a_training_starts_anew(tmp_path):
    state, value = load(tmp_path)
    assert state == State()
    assert value == 0.0
    assert State() == State(epoch=0, history=[], best_epoch=0, best={})


def test_only_the_newest_two_of_this_training_are_kept(tmp_path):
    save(tmp_path, 1, THEIRS)
    # Files of others may lie in the folder.
    (tmp_path / "checkpoints/metadata.json").write_text("of the platform")
    for epoch in (9, 10, 11):
        save(tmp_path, epoch)
    # By number, not as text: 9 went first.
    assert names(tmp_path) == [
        "checkpoint-1.pt",
        "checkpoint-10.pt",
        "checkpoint-11.pt",
        "metadata.json",
    ]
    assert load(tmp_path)[1] == 11.0


def test_checkpoints_of_later_epochs_are_left_alone(tmp_path):
    for epoch in (5, 6):
        save(tmp_path, epoch)
    for epoch in (2, 3, 4):
        save(tmp_path, epoch)
    assert names(tmp_path) == [f"checkpoint-{epoch}.pt" for epoch in (3, 4, 5, 6)]


@pytest.mark.parametrize(
    "name, counts",
    [
        ("checkpoint-123456789.pt", True),
        ("checkpoint-1234567890.pt", False),
        ("checkpoint-.pt", False),
        ("checkpoint-7.pt.part", False),
        ("my-checkpoint-7.pt", False),
    ],
)
def test_names_of_checkpoints(tmp_path, name, counts):
    save(tmp_path, 2)
    (tmp_path / "checkpoints/checkpoint-2.pt").rename(tmp_path / "checkpoints" / name)
    state, _ = load(tmp_path)
    assert (state.epoch == 2) is counts


def test_the_file_ends_with_the_seal_of_its_bytes_and_of_the_training(tmp_path):
    save(tmp_path, 2)
    # The form is fixed: files of earlier jobs must stay readable.
    content = (tmp_path / "checkpoints/checkpoint-2.pt").read_bytes()
    archive = content[: -checkpoint_seal.SEAL_BYTES]
    seal = b"slipway checkpoint, sha-256:"
    assert checkpoint_seal.SEAL_BYTES == 28 + 64
    assert content[-92:-64] == seal
    assert content[-64:-32] == hashlib.sha256(archive).digest()
    assert content[-32:] == hashlib.sha256(b'{"lr": 0.1}').digest()


@pytest.mark.parametrize("size", [1, 1000, 1 << 22])
def test_the_seal_is_found_whatever_is_read_at_a_time(tmp_path, monkeypatch, size):
    monkeypatch.setattr(checkpoint_seal, "READ_BYTES", size)
    # Blocks of one byte split the seal at every place.
    save(tmp_path, 2)
    assert load(tmp_path)[1] == 2.0


def cut(content: bytes) -> bytes:
    return content[:-1]


def flip_first(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


def flip_last_of_archive(content: bytes) -> bytes:
    # The last byte before the seal's 92.
    place = len(content) - 93
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize(
    "damage, words",
    [
        (cut, "is not a checkpoint (torn: its end is missing)"),
        (lambda content: content[-91:], "is not a checkpoint (torn: its end is missing)"),
        (lambda content: b"", "is not a checkpoint (torn: its end is missing)"),
        (
            flip_first,
            "is not a checkpoint (damaged: its bytes are not those that were written)",
        ),
        (
            flip_last_of_archive,
            "is not a checkpoint (damaged: its bytes are not those that were written)",
        ),
    ],
)
def test_a_damaged_file_is_named_and_the_older_one_taken(tmp_path, capsys, damage, words):
    for epoch in (1, 2):
        save(tmp_path, epoch)
    path = tmp_path / "checkpoints/checkpoint-2.pt"
    path.write_bytes(damage(path.read_bytes()))
    assert load(tmp_path)[1] == 1.0
    assert capsys.readouterr().out == (
        f"checkpoint refused: '{path}' {words}; going back to 'checkpoint-1.pt'\n"
    )


def test_when_all_are_refused_the_newest_ones_reason_is_given(tmp_path):
    for epoch in (1, 2):
        save(tmp_path, epoch, THEIRS)
    path = tmp_path / "checkpoints/checkpoint-2.pt"
    with pytest.raises(JobError) as caught:
        load(tmp_path)
    reason = f"'{path}' is of another training: its lr is 0.2, this job's 0.1"
    advice = "empty the checkpoints folder to start anew"
    assert str(caught.value) == f"{reason} (nor can the 1 older ones be used); {advice}"
    (tmp_path / "checkpoints/checkpoint-1.pt").unlink()
    with pytest.raises(JobError) as caught:
        load(tmp_path)
    assert str(caught.value) == f"{reason}; {advice}"


def test_the_file_of_earlier_versions_comes_last_and_is_removed_with_time(tmp_path):
    save(tmp_path, 1)
    folder = tmp_path / "checkpoints"
    # Earlier versions wrote one file, without a seal.
    saved = torch.load(folder / "checkpoint-1.pt", weights_only=True)
    torch.save(saved, folder / "checkpoint.pt")
    (folder / "checkpoint-1.pt").unlink()
    assert load(tmp_path)[1] == 1.0
    save(tmp_path, 2)
    assert names(tmp_path) == ["checkpoint-2.pt", "checkpoint.pt"]
    assert load(tmp_path)[1] == 2.0
    save(tmp_path, 3)
    assert names(tmp_path) == ["checkpoint-2.pt", "checkpoint-3.pt"]


def test_an_old_file_of_another_training_is_left_alone(tmp_path):
    save(tmp_path, 1, THEIRS)
    folder = tmp_path / "checkpoints"
    saved = torch.load(folder / "checkpoint-1.pt", weights_only=True)
    (folder / "checkpoint-1.pt").unlink()
    torch.save(saved, folder / "checkpoint.pt")
    for epoch in (2, 3):
        save(tmp_path, epoch)
    assert names(tmp_path) == ["checkpoint-2.pt", "checkpoint-3.pt", "checkpoint.pt"]


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3, "history": []}])
def test_an_archive_of_something_else_is_not_a_checkpoint(tmp_path, content):
    (tmp_path / "checkpoints").mkdir()
    # Somebody else's file of that name.
    path = tmp_path / "checkpoints/checkpoint.pt"
    torch.save(content, path)
    with pytest.raises(JobError, match=r"is not a checkpoint \(it holds something else\); empty"):
        load(tmp_path)


def test_another_process_than_the_main_one_writes_nothing(tmp_path):
    save_checkpoint(Job(tmp_path), State(1), make_learner(rank=1), OURS)
    assert not (tmp_path / "checkpoints").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "checkpoints").write_text("a file")
    with pytest.raises(JobError) as caught:
        save(tmp_path, 1)
    path = tmp_path / "checkpoints/checkpoint-1.pt"
    assert str(caught.value).endswith(f"; '{path}' could not be written")


def test_a_fault_of_the_program_is_raised_as_it_is(tmp_path):
    state = State(1, best={"weight": lambda: None})  # type: ignore[dict-item]  # not a tensor
    # Python 3.14 says PicklingError.
    with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
        save_checkpoint(Job(tmp_path), state, make_learner(), {"lr": object()})
    assert names(tmp_path) == []


def test_writing_is_tried_before_a_training_and_leaves_nothing(tmp_path):
    check_writable(Job(tmp_path))
    check_writable(Job(tmp_path))
    assert names(tmp_path) == []


def test_half_written_files_of_a_killed_job_are_removed(tmp_path):
    save(tmp_path, 1)
    # Left by a process that was killed as it wrote.
    left = tmp_path / "checkpoints/.checkpoint-2.pt.slipway-tmp"
    left.write_bytes(b"half")
    load(tmp_path)
    assert names(tmp_path) == ["checkpoint-1.pt"]


def test_a_checkpoint_that_goes_meanwhile_ends_no_training(tmp_path):
    """Another process rotates the folder, or syncs it."""
    save(tmp_path, 1)
    # Listed, and gone as soon as it is opened.
    for epoch in (2, 4):
        (tmp_path / f"checkpoints/checkpoint-{epoch}.pt").symlink_to(tmp_path / "none")
    save(tmp_path, 3)
    assert load(tmp_path)[1] == 3.0


def test_housekeeping_after_a_good_write_ends_no_training(tmp_path, capsys):
    save(tmp_path, 1)
    (tmp_path / "checkpoints/checkpoint-2.pt").mkdir()
    save(tmp_path, 3)
    assert "old checkpoints could not be removed: " in capsys.readouterr().out
    assert "checkpoint-3.pt" in names(tmp_path)
