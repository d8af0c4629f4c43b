"""timm's published weights: kept in the image, carried by a package, or fetched from the hub.

It also fits weights by timm's names to a network of other sizes.
"""

import hashlib
import logging
from pathlib import Path

import safetensors.torch
import torch

from artifact.networks.timm_network import PREFIX, TimmNetwork, timm_config, timm_model
from train.job import JobError
from train.model.hub import HubError, fetch
from train.model.weight_names import Weights, without_prefix
from train.model.wheel_weights import SUFFIX, WHEELS, WheelError, read_wheel

# How TimmNetwork's names begin.
OWN_BACKBONE = "backbone."
OWN_HEAD = "head."
OWN = (OWN_BACKBONE, OWN_HEAD)

log = logging.getLogger(__name__)


def kept_path(name: str) -> Path:
    """Where the image keeps weights by timm's name and tag; docker/fetch_weights.py knows it."""
    return Path(torch.hub.get_dir()) / "timm" / f"{name}{SUFFIX}"


def full_name(architecture: str, tag: str) -> str:
    """NAME.TAG, as timm names weights."""
    config = timm_config(architecture, tag)
    return f"{config.architecture}.{config.tag}" if config.tag else str(config.architecture)


def installed() -> list[str]:
    """The models whose weights are here without a network, as timm/NAME."""
    names = [name for name in WHEELS if kept_path(name).is_file() or WHEELS[name].path()]
    names += [path.name.removesuffix(SUFFIX) for path in kept_path("x").parent.glob(f"*{SUFFIX}")]
    return sorted({PREFIX + name.partition(".")[0] for name in names})


def published_state(architecture: str, tag: str, image_size: int) -> tuple[Weights, str, str]:
    """Published weights by timm's names, words on where they came from, and a fingerprint.

    JobError when they are nowhere to be had.
    """
    name = full_name(architecture, tag)
    path = kept_path(name)
    if path.is_file():
        return safetensors.torch.load_file(path), f"timm's {name} (kept here)", _digest(path)
    wheel = WHEELS.get(name)
    wheel_path = wheel.path() if wheel else None
    if wheel and wheel_path:
        with torch.device("meta"):  # for its names
            names = list(timm_model(architecture, image_size, tag).state_dict())
        try:
            carried = read_wheel(wheel_path, wheel.sha256, names)
        except WheelError as error:
            raise JobError(str(error)) from error
        return carried, f"timm's {name} (of a package)", wheel.sha256
    state = _from_hub(architecture, tag, image_size, path)
    return state, f"timm's {name} (the hub)", state_digest(state)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def state_digest(state: Weights) -> str:
    """The SHA-256 of weights' names and values."""
    digest = hashlib.sha256()
    for name, value in state.items():
        digest.update(name.encode())
        digest.update(value.contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _from_hub(architecture: str, tag: str, image_size: int, path: Path) -> Weights:
    try:
        return fetch(architecture, tag, image_size)
    except HubError as error:
        raise JobError(
            f"weights of {architecture} are neither at '{path}' nor can they be fetched "
            f"({error}); {elsewhere(architecture)}"
        ) from error


def elsewhere(architecture: str) -> str:
    """What to do where weights cannot be fetched, as the end of a sentence."""
    others = [name for name in installed() if name != architecture]
    here = f"model={others[0]}, whose ImageNet weights are installed here, " if others else ""
    return (
        f"take {here}bake them into the image (WEIGHTS={architecture} when it is built), "
        "give them as a channel, or set weights=none"
    )


def as_own(network: TimmNetwork, architecture: str, state: Weights) -> dict[str, torch.Tensor]:
    """Weights by the names of a TimmNetwork, fitted to its image size where timm can do that.

    state: by timm's names, or by a TimmNetwork's own. What does not fit is handed on as it is, for
    the caller to name.
    """
    wanted = network.backbone.state_dict()
    head: dict[str, torch.Tensor] = {}
    if all(name.startswith(OWN) for name in state):
        head = {name: value for name, value in state.items() if name.startswith(OWN_HEAD)}
        body = {
            name.removeprefix(OWN_BACKBONE): value
            for name, value in state.items()
            if name not in head
        }
    else:
        body = dict(without_prefix(state, wanted))
    if not all(name in body and body[name].shape == wanted[name].shape for name in wanted):
        body = _converted(architecture, network.image_size, body)
    if not head:
        classifier = timm_config(architecture).classifier  # a tuple where there are two
        names = {OWN_HEAD + part: f"{classifier}.{part}" for part in ("weight", "bias")}
        head = {own: body[name] for own, name in names.items() if name in body}
    return {OWN_BACKBONE + name: body[name] for name in wanted if name in body} | head


def _converted(architecture: str, image_size: int, state: Weights) -> dict[str, torch.Tensor]:
    """Weights in the form of timm's model at this image size; as they are where timm cannot."""
    if not state:
        return {}  # timm would take published weights in place of none
    config = timm_config(architecture)
    name = f"{config.classifier}.weight"
    classes = 0
    if name in state:
        classes = len(state[name]) - (config.label_offset or 0)
    # as many classes as the file has: timm then accepts no missing names
    overlay = {"state_dict": dict(state), "custom_load": False, "num_classes": classes}
    try:
        model = timm_model(
            architecture,
            image_size,
            num_classes=classes,
            pretrained=True,
            pretrained_cfg_overlay=overlay,
        )
    except Exception as error:  # timm's converters raise anything on names that they do not know
        log.debug("timm cannot convert these weights: %s", error)
        return dict(state)
    return model.state_dict()
