"""Incremental training: the channel `model` holds an earlier artifact, from which training goes on.

`model` is SageMaker's own name for that channel. Sets hyperparameters and first weights; does not
know how a training runs.
"""

import dataclasses
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn

from artifact.archives.unpack import ARCHIVE, artifact_folder, discard
from artifact.folders.channels import MODEL_CHANNEL
from artifact.model import DESCRIPTION_FILE, WEIGHTS_FILE, Description, read_description
from recipes.hyperparameters import Hyperparameters, given
from train.job import Job, JobError
from train.model.trainable import head_name
from train.model.weights import Source, fill

PROVENANCE = (
    "weights",
    "weights_licence",
    "data",
    "git_commit",
    "earlier",
)  # that is handed on to the new artifact

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EarlierArtifact:
    """An earlier artifact: its description, its weights by name, the SHA-256 of both files."""

    description: Description
    weights: dict[str, torch.Tensor]
    fingerprint: str


def read_model_channel(
    job: Job, hp: Hyperparameters
) -> tuple[Hyperparameters, EarlierArtifact | None]:
    """The artifact in the channel `model`, if any, and the settings with those that it sets.

    The artifact sets model, head and multi_label, and in `preprocessing` the sizes. The job's own
    hyperparameters come first. JobError where they contradict the artifact, ArtifactError for an
    artifact that cannot be read.
    """
    channel = job.channels.get(MODEL_CHANNEL)
    if channel is None:
        return hp, None
    if not any((channel / name).is_file() for name in (DESCRIPTION_FILE, ARCHIVE)):
        if hp.weights == MODEL_CHANNEL:
            return hp, None  # a channel of plain weights that happens to have this name
        raise JobError(
            f"the channel '{channel}' holds neither {DESCRIPTION_FILE} nor {ARCHIVE}; "
            "expected the artifact of an earlier training, "
            f"or weights={MODEL_CHANNEL} for a file of weights in it"
        )
    names = given(job.hyperparameters())  # defaults contradict nothing
    if "weights" in names and hp.weights != MODEL_CHANNEL:
        raise JobError(
            f"hyperparameter weights is '{hp.weights}', but the channel '{MODEL_CHANNEL}' "
            "holds an earlier artifact to go on from; leave one of them out"
        )
    earlier = _read(channel)
    description = earlier.description
    if "model" in names and hp.model != description.architecture:
        raise JobError(
            f"hyperparameter model is '{hp.model}', but the earlier artifact in the channel "
            f"'{MODEL_CHANNEL}' is a {description.architecture}; leave one of them out"
        )
    hp = dataclasses.replace(hp, model=description.architecture, weights=MODEL_CHANNEL)
    if "head" not in names:
        hp = dataclasses.replace(hp, head=description.head)
    if "multi_label" not in names:
        hp = dataclasses.replace(hp, multi_label=description.multi_label)
    return hp, earlier


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
        weights = safetensors.torch.load_file(folder / WEIGHTS_FILE)  # read before `discard`
    except FileNotFoundError as error:
        raise JobError(
            f"the earlier artifact in '{channel}' holds no {WEIGHTS_FILE}; "
            "nothing can go on from it"
        ) from error
    except safetensors.SafetensorError as error:
        raise JobError(
            f"{WEIGHTS_FILE} in '{channel}' is not a file of weights ({error})"
        ) from error
    finally:
        discard(folder)
    return EarlierArtifact(description, weights, digest.hexdigest())


def load_earlier_weights(
    network: nn.Module,
    hp: Hyperparameters,
    earlier: EarlierArtifact,
    classes: Sequence[str],
) -> Source:
    """Fill a network in place from an earlier artifact.

    All in front of the head is taken. Of a head of the same sizes, the rows of the same classes are
    taken, by name; other rows keep their fresh values. JobError when the weights do not fit the
    architecture.
    """
    description = earlier.description
    state = dict(earlier.weights)
    taken = 0
    if hp.head == description.head:
        taken = _take_rows(network, hp.head, description.classes, classes, state)
        log.info(
            "head: %d of %d classes are taken over from the earlier artifact, "
            "%d start fresh, %d of its classes are gone",
            taken,
            len(classes),
            len(classes) - taken,
            len(description.classes) - taken,
        )
    else:
        prefix = f"{head_name(network)}."
        state = {name: value for name, value in state.items() if not name.startswith(prefix)}
        log.info("head: starts fresh, for its hidden layers are not those of the earlier artifact")
    source = Source(
        f"the earlier artifact in the channel '{MODEL_CHANNEL}' ({description.architecture}, "
        f"{len(description.classes)} classes, SHA-256 {earlier.fingerprint[:12]})",
        earlier.fingerprint,
        earlier=_provenance(earlier, taken),
        licence=str(description.provenance.get("weights_licence", "")),
    )
    fill(network, state, source.words, hp.model)
    return source


def _take_rows(
    network: nn.Module,
    head: tuple[int, ...],
    old_classes: Sequence[str],
    new_classes: Sequence[str],
    state: dict[str, torch.Tensor],
) -> int:
    """Change the last layer in `state` to the network's own fresh one, with the common rows.

    These are the earlier rows of the classes that both have. Returns how many they are.
    """
    layer = head_name(network)
    if head:
        layer += f".{2 * len(head)}"  # an activation follows each hidden layer
    common = [name for name in new_classes if name in old_classes]
    new_rows = [new_classes.index(name) for name in common]
    old_rows = [old_classes.index(name) for name in common]
    fresh = network.state_dict()
    for name in (f"{layer}.weight", f"{layer}.bias"):
        rows = fresh[name].clone()
        if name not in state or state[name].shape != (len(old_classes), *rows.shape[1:]):
            raise JobError(
                f"the earlier artifact does not fit model: '{name}' of its {WEIGHTS_FILE} "
                "is missing or of another shape"
            )
        rows[new_rows] = state[name][old_rows].to(rows.dtype)
        state[name] = rows
    return len(common)


def _provenance(earlier: EarlierArtifact, taken: int) -> dict[str, object]:
    """model.json's entry for the artifact that a training goes on from.

    Its own entry `earlier` names the one before.
    """
    description = earlier.description
    known = description.provenance
    return {
        "fingerprint": earlier.fingerprint,
        "classes": len(description.classes),
        "classes_taken_over": taken,
        "accuracy": description.accuracy,
        **{name: known[name] for name in PROVENANCE if name in known},
    }
