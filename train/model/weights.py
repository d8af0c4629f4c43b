"""A network's first weights: published ImageNet weights, a channel's, a file's, or random ones."""

import dataclasses
import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn
from torchvision.models.vision_transformer import interpolate_embeddings

from artifact.network import weights_entry
from train.job import JobError
from train.model.trainable import head_name

WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt")

Weights = Mapping[str, torch.Tensor]  # by name in the network's state


@dataclass(frozen=True)
class Source:
    """Where weights came from.

    words: for people. fingerprint: identifies these weights: a SHA-256, a published name or
    a seed. head: the head came with them. earlier: what model.json says of the earlier artifact
    that they are of, if any.
    """

    words: str
    fingerprint: str
    head: bool = False
    earlier: dict[str, object] = field(default_factory=dict)


def load_weights(
    network: nn.Module,
    architecture: str,
    weights: str,
    channels: dict[str, Path],
    seed: int = 0,
) -> Source:
    """Fill a network in place, but for its head where that has other sizes.

    weights: `none`, `imagenet`, a published name such as IMAGENET1K_V1, a channel's name, or a
    file. JobError when they cannot be had, read, or do not belong to this architecture.
    """
    if weights == "none":
        return Source("random weights", f"seed {seed} of torch {torch.__version__}")
    if weights in channels:
        state, source = _from_file(_only_weights_file(channels[weights]))
    elif weights == "imagenet" or weights.startswith("IMAGENET"):
        name = "DEFAULT" if weights == "imagenet" else weights
        state, source = _published(architecture, name)
    elif weights.endswith(WEIGHT_SUFFIXES) or "/" in weights:
        state, source = _from_file(Path(weights))
    else:
        known = ", ".join(channels) or "the job has none"
        raise JobError(
            f"weights '{weights}' are neither imagenet, none, a channel ({known}), "
            "a published name (IMAGENET1K_V1) nor a file"
        )
    has_head = fill(network, state, source.words, architecture)
    return dataclasses.replace(source, head=has_head)


def weights_files(weights: str, channels: dict[str, Path]) -> tuple[object, ...]:
    """A key that identifies the weights of a setting, without reading them.

    It holds the files with their sizes and times.
    """
    folder = channels.get(weights, Path(weights))
    files = []
    if folder.is_dir():
        files = sorted(folder.rglob("*"))
    elif folder.is_file():
        files = [folder]
    key: list[object] = [weights]
    for path in files:
        status = path.stat()
        key.append((str(path.resolve()), status.st_size, status.st_mtime_ns))
    return tuple(key)


def _from_file(path: Path) -> tuple[Weights, Source]:
    state = _read(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return state, Source(f"'{path}'", digest)


def _published(architecture: str, name: str) -> tuple[Weights, Source]:
    try:
        entry = weights_entry(architecture, name)
    except ValueError as error:
        raise JobError(str(error)) from error
    file_name = entry.url.rpartition("/")[2]
    try:
        state: Weights = entry.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        path = Path(torch.hub.get_dir()) / "checkpoints" / file_name
        raise JobError(
            f"ImageNet weights of {architecture} are neither at '{path}' nor can they be fetched "
            f"({error}); bake them into the image (WEIGHTS build argument), give them as a "
            "channel, or set weights=none"
        ) from error
    return state, Source(f"{entry} ({file_name})", file_name)


def _only_weights_file(folder: Path) -> Path:
    found = sorted(path for path in folder.rglob("*") if path.suffix in WEIGHT_SUFFIXES)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        suffixes = ", ".join(WEIGHT_SUFFIXES)
        raise JobError(
            f"the channel '{folder}' must hold one weights file ({suffixes}); found: {names}"
        )
    return found[0]


def _read(path: Path) -> Weights:
    try:
        state = _load(path)
    except FileNotFoundError as error:
        raise JobError(f"the weights file '{path}' does not exist") from error
    except safetensors.SafetensorError as error:
        raise JobError(f"'{path}' is not a file of weights ({error})") from error
    if isinstance(state, dict):
        state = state.get("state_dict", state)  # of a training script's checkpoint
    if not isinstance(state, dict):
        raise JobError(f"'{path}' holds no weights: expected names and tensors")
    if not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise JobError(f"'{path}' holds no weights: expected names and tensors")
    # DistributedDataParallel puts "module." before each name
    return {name.removeprefix("module."): value for name, value in state.items()}


def _load(path: Path) -> object:
    if path.suffix == ".safetensors":
        return safetensors.torch.load_file(path)
    return read_tensors(path, "a file of weights", mapped=True)


def read_tensors(path: Path, expected: str, mapped: bool = False) -> object:
    """The object that torch.save wrote to a file, tensors on the CPU. Runs no code of the file.

    JobError when it is not `expected`. mapped: the tensors may be the file itself, read when they
    are used, where its form allows that.
    """
    mapped = mapped and zipfile.is_zipfile(path)
    try:
        content: object = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        return content
    except (OSError, MemoryError):
        raise
    except Exception as error:  # the unpickler raises nearly anything on damaged files
        if "can't allocate memory" in str(error):
            raise
        words = (str(error).splitlines() or ["damaged"])[0][:200]
        raise JobError(f"'{path}' is not {expected} ({words})") from error


def fill(
    network: nn.Module,
    state: Weights,
    source: str,
    architecture: str,
) -> bool:
    """Fill a network in place; whether its head came with the weights.

    All outside the head must be there in its shape. The head is taken where it fits as a whole.
    JobError, which names the source, when something does not fit.
    """
    if architecture.startswith("vit_") and "encoder.pos_embedding" in state:
        state = interpolate_embeddings(network.image_size, network.patch_size, state)
    own = network.state_dict()
    inside_head = {name for name in own if name.startswith(f"{head_name(network)}.")}
    body = own.keys() - inside_head
    fitting = {name for name in own if name in state and state[name].shape == own[name].shape}
    wrong = sorted(body - fitting)
    # counters of BatchNorm came later than some published weights
    wrong = [name for name in wrong if not name.endswith("num_batches_tracked")]
    if wrong:
        raise JobError(
            f"{source} does not fit model {architecture}: {len(wrong)} of {len(body)} tensors "
            f"are missing or of another shape, first '{wrong[0]}'"
        )
    has_head = inside_head <= fitting  # a part of it would be worth nothing
    if not has_head:
        fitting -= inside_head
    taken = {name: state[name] for name in fitting}
    network.load_state_dict(taken, strict=False)
    return has_head
