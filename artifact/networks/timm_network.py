"""timm's classification models, by the name timm/NAME or timm/NAME.TAG.

It builds a model with a head of our classes, and knows what timm says of its published weights. It
loads timm where a function needs it: that takes seconds.
"""

import math
from typing import Any

import torch
from torch import nn

from artifact.photos.preprocessing import INTERPOLATIONS, Preprocessing

PREFIX = "timm/"
BACKBONE = "backbone"  # the attribute of TimmNetwork
# Licences that allow commercial use on no terms of their own. timm names them so.
OPEN_LICENCES = frozenset({"apache-2.0", "bsd-3-clause", "mit", "cc-by-4.0"})


class TimmNetwork(nn.Module):
    """A timm model without its classifier, and a head of ours behind it.

    float [N, 3, S, S], normalised, to logits [N, classes]. One form for all of timm: some models
    have two classifiers, and the names of the others' differ.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, image_size: int):
        super().__init__()
        self.image_size = image_size  # pixels of a side, for which it was built
        self.backbone = backbone
        self.head = head

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.backbone(samples))
        return logits


def is_timm(architecture: str) -> bool:
    return architecture.startswith(PREFIX)


def timm_architectures() -> list[str]:
    """Names of timm's classifiers without tags, sorted."""
    import timm

    # an encoder gives many rows for a photo, to a model of language behind it
    names = [name for name in timm.list_models() if not name.endswith("_enc")]
    return sorted(PREFIX + name for name in names)


def timm_config(architecture: str, tag: str = "") -> Any:  # Any: timm's PretrainedCfg
    """What timm says of published weights: sizes, mean and std, where they lie, their licence.

    tag: of other weights than those that the name means. Raises ValueError for an unknown name.
    """
    import timm

    name, _, own_tag = architecture.removeprefix(PREFIX).partition(".")
    tag = tag or own_tag
    if not timm.is_model(name):
        raise ValueError(f"model '{architecture}' is not one of timm's models")
    try:
        return timm.get_pretrained_cfg(f"{name}.{tag}" if tag else name)
    except RuntimeError as error:
        raise ValueError(
            f"weights '{tag}' are not published for {PREFIX}{name}; "
            f"known: {', '.join(timm_tags(architecture)) or 'none'}"
        ) from error


def timm_tags(architecture: str) -> list[str]:
    """The tags of a model's published weights, that of the default first."""
    import timm

    name = architecture.removeprefix(PREFIX).partition(".")[0]
    default = getattr(timm.get_pretrained_cfg(name), "tag", None)
    names = [found for found in timm.list_pretrained(f"{name}.*") if found.startswith(f"{name}.")]
    return sorted((found.partition(".")[2] for found in names), key=lambda tag: tag != default)


def timm_preprocessing(architecture: str, tag: str = "") -> Preprocessing:
    """The sizes, interpolation, mean and std with which timm measured its published weights."""
    config = timm_config(architecture, tag)
    crop = config.input_size[-1]
    interpolation = config.interpolation
    if interpolation not in INTERPOLATIONS:
        interpolation = "bicubic"  # timm's own for what it does not know
    return Preprocessing(
        max(crop, math.floor(crop / config.crop_pct)),  # as timm.data.create_transform does
        crop,
        interpolation,
        tuple(config.mean),
        tuple(config.std),
    )


def timm_backbone(architecture: str, image_size: int) -> nn.Module:
    """A model of random weights up to the features that its classifier reads, float [N, width].

    Raises ValueError, RuntimeError or AssertionError for sizes that the model does not take.
    """
    return timm_model(architecture, image_size, num_classes=0)


# Any: what timm.create_model takes.
def timm_model(architecture: str, image_size: int, tag: str = "", **arguments: Any) -> nn.Module:
    """timm's own model for square photos of these pixels a side."""
    import timm

    config = timm_config(architecture, tag)
    name = architecture.removeprefix(PREFIX).partition(".")[0]
    if config.fixed_input_size:  # the positions of its patches are weights
        arguments["img_size"] = image_size
    if config.tag:
        arguments["pretrained_cfg"] = config.tag
    # exportable: layers that ONNX can express
    model: nn.Module = timm.create_model(name, exportable=True, **arguments)
    return model


def feature_width(backbone: nn.Module) -> int:
    """Features that a backbone gives for a photo."""
    widths: list[Any] = [getattr(backbone, "head_hidden_size", None), backbone.num_features]
    width: int = next(filter(None, widths))
    return width


def licence_of(architecture: str, tag: str = "") -> str:
    """The licence of published weights in timm's words; "" where it knows none."""
    licence = timm_config(architecture, tag).license
    if not licence or licence == "unknown":
        return ""
    return str(licence)
