"""A network's first weights: published ImageNet weights, a channel's, a file's, or random ones."""

import contextlib
import dataclasses
import logging
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn
from torchvision.models.vision_transformer import interpolate_embeddings

from artifact.networks.network import put_values, weights_entry
from artifact.networks.timm_network import OPEN_LICENCES, TimmNetwork, licence_of
from recipes.published import is_file
from train.job import JobError
from train.model.known_models import DEFAULT, choice_words, is_published, published_name
from train.model.timm_weights import as_own, elsewhere, published_state
from train.model.trainable import head_name
from train.model.weight_files import read_weights
from train.model.weight_folder import digest, only_weights_file
from train.model.weight_names import Weights, without_prefix

log = logging.getLogger(__name__)


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
    licence: str = ""


def load_weights(
    network: nn.Module,
    architecture: str,
    weights: str,
    channels: dict[str, Path],
    seed: int = 0,
    trainable: str = "all",
) -> Source:
    """Fill a network in place, but for its head where that has other sizes.

    weights: `none`, `imagenet`, a published name such as IMAGENET1K_V1, a channel's name, or a
    file. trainable: decides which published ones `imagenet` means. JobError when they cannot be
    had, read, or do not belong to this architecture.
    """
    if weights == "none":
        return Source("random weights", f"seed {seed} of torch {torch.__version__}")
    try:
        name = published_name(architecture, weights, trainable)
    except ValueError as error:
        raise JobError(str(error)) from error
    if weights in channels:
        state, source = _from_file(channels[weights])
    elif is_published(architecture, weights):
        words = choice_words(architecture, weights, trainable)
        if words:
            log.info(words)
        state, source = _published(network, architecture, name)
    elif is_file(weights):
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
    if path.is_dir():
        path = only_weights_file(path)
    return read_weights(path), Source(f"'{path}'", digest(path))


def _published(network: nn.Module, architecture: str, name: str) -> tuple[Weights, Source]:
    if isinstance(network, TimmNetwork):
        return _from_timm(network, architecture, name)
    entry = weights_entry(architecture, name)
    file_name = entry.url.rpartition("/")[2]
    try:
        state: Weights = entry.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        path = Path(torch.hub.get_dir()) / "checkpoints" / file_name
        raise JobError(
            f"ImageNet weights of {architecture} are neither at '{path}' nor can they be fetched "
            f"({error}); {elsewhere(architecture)}"
        ) from error
    return state, Source(f"{entry} ({file_name})", file_name)


def _from_timm(network: TimmNetwork, architecture: str, tag: str) -> tuple[Weights, Source]:
    tag = "" if tag == DEFAULT else tag
    state, words, fingerprint = published_state(architecture, tag, network.image_size)
    licence = licence_of(architecture, tag)
    if licence not in OPEN_LICENCES:
        log.warning(
            "licence: timm gives %s for the weights %s; read it before you use the model",
            f"'{licence}'" if licence else "no licence",
            words,
        )
    else:
        log.info("licence: %s, of the weights %s", licence, words)
    return state, Source(words, fingerprint, licence=licence)


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
    own = network.state_dict()
    inside_head = {name for name in own if name.startswith(f"{head_name(network)}.")}
    body = own.keys() - inside_head
    if isinstance(network, TimmNetwork):
        state = as_own(network, architecture, state)
    else:
        state = without_prefix(state, body)
    if architecture.startswith("vit_") and "encoder.pos_embedding" in state:
        # positions of no square, or none: they are handed on, and do not fit
        with contextlib.suppress(ValueError, RuntimeError):
            state = interpolate_embeddings(network.image_size, network.patch_size, state)
    fitting = {name for name in own if name in state and state[name].shape == own[name].shape}
    wrong = [name for name in own if name in body - fitting]
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
    taken = {name: _usable(state[name], own[name], name, source) for name in own if name in fitting}
    _check_finite(taken, source)
    put_values(network, taken, strict=False)
    return has_head


def _usable(value: torch.Tensor, own: torch.Tensor, name: str, source: str) -> torch.Tensor:
    """A tensor of a file in a type that a network computes in; JobError where there is none."""
    if value.is_meta:
        raise JobError(f"{source} holds names without values, first '{name}'; save the weights")
    if own.is_floating_point() and not value.is_floating_point():
        raise JobError(
            f"{source} holds '{name}' as {value.dtype}, which a network does not learn in; "
            "save the weights in float32, before they are quantized"
        )
    if value.layout != torch.strided:
        value = value.to_dense()
    if value.is_floating_point() and value.element_size() == 1:  # torch computes little in float8
        return value.float()
    return value


def _check_finite(taken: Weights, source: str) -> None:
    """JobError for values that no training mends."""
    for name, value in taken.items():
        if not torch.isfinite(value).all():
            raise JobError(
                f"{source} holds values that are no numbers (NaN or infinite), first in '{name}'; "
                "take weights of an epoch before the training that made them went wrong"
            )
