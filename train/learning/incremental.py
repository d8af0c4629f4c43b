"""Fine-tuning again: the artifact of an earlier training, which the channel `model` holds, and what a new training takes over from it.

`model` is SageMaker's own name for that channel of incremental training.
"""

import dataclasses
import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn

from artifact.model import DESCRIPTION_FILE, WEIGHTS_FILE, Description, read_description
from artifact.unpack import ARCHIVE, artifact_folder, discard
from recipes.hyperparameters import Hyperparameters, given
from train.job import Job, JobError
from train.model.weights import Source, fill

MODEL_CHANNEL = "model"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EarlierArtifact:
    """An earlier artifact: its description, its weights by name, and the SHA-256 of both files."""

    description: Description
    weights: dict[str, torch.Tensor]
    fingerprint: str


def read_model_channel(
    job: Job, hp: Hyperparameters
) -> tuple[Hyperparameters, EarlierArtifact | None]:
    """The settings with what an artifact in the channel `model` sets, and that artifact; as they are, and None, without one.

    The artifact sets model, head and multi_label, and in `preprocessing` the sizes; what the job's hyperparameters name stays
    theirs. JobError where they contradict it, ArtifactError for an artifact that cannot be read.
    """
    channel = job.channels.get(MODEL_CHANNEL)
    if channel is None:
        return hp, None
    there = (channel / DESCRIPTION_FILE).is_file() or (channel / ARCHIVE).is_file()
    if not there and hp.weights == MODEL_CHANNEL:
        return hp, None  # a channel of plain weights that happens to have this name
    if not there:
        raise JobError(
            f"the channel '{channel}' holds neither {DESCRIPTION_FILE} nor {ARCHIVE}; expected the artifact of an earlier training, "
            f"or weights={MODEL_CHANNEL} for a file of weights in it"
        )
    told = given(job.hyperparameters())
    if "weights" in told and hp.weights != MODEL_CHANNEL:
        raise JobError(
            f"hyperparameter weights is '{hp.weights}', but the channel '{MODEL_CHANNEL}' holds an earlier artifact to go on from; "
            "leave one of them out"
        )
    earlier = _read(channel)
    description = earlier.description
    if "model" in told and hp.model != description.architecture:
        raise JobError(
            f"hyperparameter model is '{hp.model}', but the earlier artifact in the channel '{MODEL_CHANNEL}' is a {description.architecture}; "
            "leave one of them out"
        )
    values = {"head": description.head, "multi_label": description.multi_label}
    return dataclasses.replace(
        hp,
        model=description.architecture,
        weights=MODEL_CHANNEL,
        **{name: value for name, value in values.items() if name not in told},
    ), earlier


def _read(channel: Path) -> EarlierArtifact:
    try:
        folder = artifact_folder(channel)
    except MemoryError as error:
        raise JobError(str(error)) from error
    try:
        description = read_description(folder)
        digest = hashlib.sha256((folder / DESCRIPTION_FILE).read_bytes())
        with (folder / WEIGHTS_FILE).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
        return EarlierArtifact(
            description, safetensors.torch.load_file(folder / WEIGHTS_FILE), digest.hexdigest()
        )
    except FileNotFoundError as error:
        raise JobError(
            f"the earlier artifact in '{channel}' holds no {WEIGHTS_FILE}; nothing can go on from it"
        ) from error
    except safetensors.SafetensorError as error:
        raise JobError(
            f"{WEIGHTS_FILE} in '{channel}' is not a file of weights ({error})"
        ) from error
    finally:
        discard(folder)


def load_earlier_weights(
    network: nn.Module, hp: Hyperparameters, earlier: EarlierArtifact, classes: tuple[str, ...]
) -> Source:
    """Fill a network in place: all in front of the head, and of a head of the same sizes what is of the same classes, by name.

    The rows of other classes keep their fresh values. JobError when the weights do not fit the architecture.
    """
    description, taken = earlier.description, 0
    state = dict(earlier.weights)
    inside = [name for name in state if name.startswith(f"{network.head_name}.")]
    if hp.head == description.head:
        taken = _take_rows(network, hp.head, description.classes, classes, state)
        log.info(
            "head: %d of %d classes are taken over from the earlier artifact, %d start fresh, %d of its classes are gone",
            taken,
            len(classes),
            len(classes) - taken,
            len(description.classes) - taken,
        )
    else:
        for name in inside:
            del state[name]
        log.info("head: starts fresh, for its hidden layers are not those of the earlier artifact")
    source = Source(
        f"the earlier artifact in the channel '{MODEL_CHANNEL}' ({description.architecture}, {len(description.classes)} classes, "
        f"SHA-256 {earlier.fingerprint[:12]})",
        earlier.fingerprint,
        earlier=_provenance(earlier, taken),
    )
    fill(network, state, source.words, hp.model)
    return source


def _take_rows(
    network: nn.Module,
    head: tuple[int, ...],
    old: tuple[str, ...],
    new: tuple[str, ...],
    state: dict[str, torch.Tensor],
) -> int:
    """Put the earlier rows of classes that both have among the network's own fresh ones, in `state`; how many they are."""
    layer = f"{network.head_name}.{2 * len(head)}" if head else network.head_name
    both = [name for name in new if name in old]
    ours, theirs = [new.index(name) for name in both], [old.index(name) for name in both]
    fresh = network.state_dict()
    for name in (f"{layer}.weight", f"{layer}.bias"):
        rows = fresh[name].clone()
        if name not in state or state[name].shape != (len(old), *rows.shape[1:]):
            raise JobError(
                f"the earlier artifact does not fit model: '{name}' of its {WEIGHTS_FILE} is missing or of another shape"
            )
        rows[ours] = state[name][theirs].to(rows.dtype)
        state[name] = rows
    return len(both)


def _provenance(earlier: EarlierArtifact, taken: int) -> dict:
    """What model.json tells of the artifact that a training went on from, and through it of those before."""
    known = earlier.description.provenance
    return {
        "fingerprint": earlier.fingerprint,
        "classes": len(earlier.description.classes),
        "classes_taken_over": taken,
        "accuracy": earlier.description.accuracy,
        **{
            name: known.get(name)
            for name in ("weights", "data", "git_commit", "earlier")
            if name in known
        },
    }
