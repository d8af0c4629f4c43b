"""Where a network's first weights come from: published ImageNet weights, a channel, a file, or chance."""

import dataclasses
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn
from torchvision.models.vision_transformer import interpolate_embeddings

from artifact.network import weights_entry
from train.job import JobError
from train.learning.checkpoint import read_tensors

WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt")


@dataclass(frozen=True)
class Source:
    """Where weights came from, in words, and what tells them from others: a SHA-256, a published name, a seed.

    head: whether the head came with them. earlier: what model.json tells of the artifact that they are of, if they are.
    """

    words: str
    fingerprint: str
    head: bool = False
    earlier: dict = field(default_factory=dict)


def load_weights(
    network: nn.Module, architecture: str, weights: str, channels: dict[str, Path], seed: int = 0
) -> Source:
    """Fill a network in place, its head aside where the sizes differ; the answer says from where.

    weights: `none`, `imagenet`, a published name such as IMAGENET1K_V1, a channel's name, or a file.
    JobError when they cannot be had, read, or do not belong to this architecture.
    """
    if weights == "none":
        return Source("random weights", f"seed {seed} of torch {torch.__version__}")
    if weights in channels:
        state, source = _from_file(_only_weights_file(channels[weights]))
    elif weights == "imagenet" or weights.startswith("IMAGENET"):
        state, source = _published(architecture, "DEFAULT" if weights == "imagenet" else weights)
    elif weights.endswith(WEIGHT_SUFFIXES) or "/" in weights:
        state, source = _from_file(Path(weights))
    else:
        raise JobError(
            f"weights '{weights}' are neither imagenet, none, a channel ({', '.join(channels) or 'there are none'}), "
            "a published name (IMAGENET1K_V1) nor a file"
        )
    return dataclasses.replace(source, head=fill(network, state, source.words, architecture))


def weights_files(weights: str, channels: dict[str, Path]) -> tuple:
    """What tells the weights of a setting from others without reading them: files with their sizes and times."""
    folder = channels.get(weights, Path(weights))
    files = sorted(folder.rglob("*")) if folder.is_dir() else [folder] if folder.is_file() else []
    return (
        weights,
        *(
            (str(path.resolve()), status.st_size, status.st_mtime_ns)
            for path in files
            for status in [path.stat()]
        ),
    )


def _from_file(path: Path) -> tuple[dict[str, torch.Tensor], Source]:
    state = _read(path)
    with path.open("rb") as file:
        return state, Source(f"'{path}'", hashlib.file_digest(file, "sha256").hexdigest())


def _published(architecture: str, name: str) -> tuple[dict[str, torch.Tensor], Source]:
    try:
        entry = weights_entry(architecture, name)
    except ValueError as error:
        raise JobError(str(error)) from error
    try:
        file = entry.url.rpartition("/")[2]
        return entry.get_state_dict(progress=False, check_hash=True), Source(
            f"{entry} ({file})", file
        )
    except (OSError, RuntimeError) as error:
        file = Path(torch.hub.get_dir()) / "checkpoints" / entry.url.rpartition("/")[2]
        raise JobError(
            f"ImageNet weights of {architecture} are neither at '{file}' nor can they be fetched ({error}); bake them into "
            "the image (WEIGHTS build argument), give them as a channel, or set weights=none"
        ) from error


def _only_weights_file(folder: Path) -> Path:
    found = sorted(path for path in folder.rglob("*") if path.suffix in WEIGHT_SUFFIXES)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise JobError(
            f"the channel '{folder}' must hold one weights file ({', '.join(WEIGHT_SUFFIXES)}); found: {names}"
        )
    return found[0]


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        state = (
            safetensors.torch.load_file(path)
            if path.suffix == ".safetensors"
            else read_tensors(path, "a file of weights", mapped=True)
        )
    except FileNotFoundError as error:
        raise JobError(f"there is no weights file '{path}'") from error
    except safetensors.SafetensorError as error:
        raise JobError(f"'{path}' is not a file of weights ({error})") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(
        isinstance(value, torch.Tensor) for value in state.values()
    ):
        raise JobError(f"'{path}' holds no weights: expected names and tensors")
    return {name.removeprefix("module."): value for name, value in state.items()}


def fill(
    network: nn.Module, state: dict[str, torch.Tensor], source: str, architecture: str
) -> bool:
    """Fill a network in place. Everything outside the head must be there in its shape; the head is taken where it fits as a whole.

    Returns whether it was. JobError, which names the source, when something is not.
    """
    if architecture.startswith("vit_") and "encoder.pos_embedding" in state:
        state = interpolate_embeddings(network.image_size, network.patch_size, state)
    own = network.state_dict()
    inside_head = {name for name in own if name.startswith(f"{network.head_name}.")}
    body = own.keys() - inside_head
    wrong = [
        name for name in sorted(body) if name not in state or state[name].shape != own[name].shape
    ]
    # counters of BatchNorm came later than some published weights
    wrong = [name for name in wrong if not name.endswith("num_batches_tracked")]
    if wrong:
        raise JobError(
            f"{source} does not fit model {architecture}: {len(wrong)} of {len(body)} tensors are missing or "
            f"of another shape, first '{wrong[0]}'"
        )
    taken = {name: state[name] for name in body if name in state}
    fits = all(name in state and state[name].shape == own[name].shape for name in inside_head)
    if fits:
        taken |= {name: state[name] for name in inside_head}
    network.load_state_dict(taken, strict=False)
    return fits
