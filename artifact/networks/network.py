"""The network itself: a classification model of torchvision or timm with a head of our classes.

Training, export and engines that rebuild the network share it. It loads torch, so nothing imports
it that must start without torch.
"""

import contextlib
import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torchvision
from torch import nn
from torch.overrides import TorchFunctionMode

from artifact.networks.timm_network import (
    TimmNetwork,
    feature_width,
    is_timm,
    timm_backbone,
    timm_preprocessing,
)
from artifact.photos.preprocessing import Preprocessing

# They have auxiliary classifiers, and were trained on inputs of another scale than all others.
_AUXILIARY = {"googlenet", "inception_v3"}


def architectures() -> list[str]:
    """Names of torchvision's classification models, sorted."""
    return sorted(torchvision.models.list_models(module=torchvision.models))


class _Undrawn(TorchFunctionMode):
    """While it is active, no random number is drawn into a tensor.

    Drawing a hundred million weights takes a second, and the next step overwrites them.
    """

    DRAWING = (
        torch.Tensor.normal_,
        torch.Tensor.uniform_,
        nn.init.normal_,
        nn.init.uniform_,
        nn.init.kaiming_uniform_,
    )

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Iterable[type],
        arguments: tuple[Any, ...] = (),
        named: Mapping[str, Any] | None = None,
    ) -> Any:  # Any: of whatever torch function is called
        named = named or {}
        if function in self.DRAWING:
            return named.get("tensor") if not arguments else arguments[0]
        return function(*arguments, **named)


def build(
    architecture: str,
    classes: int,
    head: tuple[int, ...] = (),
    image_size: int = 224,
    drawn: bool = True,
) -> nn.Module:
    """A network of random weights: float [N, 3, S, S], normalised, to logits [N, classes].

    head: sizes of hidden layers; (2048, 516) is Linear-ReLU-Linear-ReLU-Linear. drawn: if False,
    the weights are arbitrary memory, for the caller to fill. The attribute `head_name` of the
    result is the dotted name of the head. Raises ValueError for an unknown architecture.
    """
    with contextlib.nullcontext() if drawn else _Undrawn():
        if is_timm(architecture):
            return _timm_network(architecture, classes, head, image_size)
        return _torchvision_network(architecture, classes, head, image_size)


def _timm_network(
    architecture: str, classes: int, head: tuple[int, ...], image_size: int
) -> nn.Module:
    backbone = timm_backbone(architecture, image_size)
    layers = _linear_layers(feature_width(backbone), classes, head)
    network = TimmNetwork(backbone, layers, image_size)
    network.head_name = "head"  # type: ignore[assignment]  # nn.Module takes any attribute
    return network


def _torchvision_network(
    architecture: str, classes: int, head: tuple[int, ...], image_size: int
) -> nn.Module:
    _check_known(architecture)
    network: nn.Module = torchvision.models.get_model(
        architecture, weights=None, **_arguments(architecture, image_size)
    )
    name = _last_layer(network)
    parent, _, attribute = name.rpartition(".")
    layers = _head(network.get_submodule(name), classes, head)
    setattr(network.get_submodule(parent), attribute, layers)
    network.head_name = name  # type: ignore[assignment]  # nn.Module takes any attribute
    return network


def weights_entry(architecture: str, name: str = "DEFAULT") -> torchvision.models.WeightsEnum:
    """torchvision's published weights of an architecture: their source and preprocessing."""
    _check_known(architecture)
    known = torchvision.models.get_model_weights(architecture)
    if name == "DEFAULT":
        return known.DEFAULT
    if name not in known.__members__:
        raise ValueError(
            f"weights '{name}' are not published for {architecture}; "
            f"known: {', '.join(known.__members__)}"
        )
    return known[name]


def own_preprocessing(architecture: str, name: str = "DEFAULT") -> Preprocessing:
    """The preprocessing with which torchvision, or timm, measured its published weights.

    name: of torchvision's, or a tag of timm's; DEFAULT is the one that the architecture means.
    """
    if is_timm(architecture):
        return timm_preprocessing(architecture, "" if name == "DEFAULT" else name)
    preset = weights_entry(architecture, name).transforms()
    crop = preset.crop_size[0]
    return Preprocessing(
        max(crop, preset.resize_size[0]),
        crop,
        preset.interpolation.value,
        tuple(preset.mean),
        tuple(preset.std),
    )


def put_values(
    network: nn.Module,
    values: Mapping[str, torch.Tensor],
    strict: bool = True,
    assign: bool = False,
) -> None:
    """Give a network values by name, as load_state_dict does.

    Some networks, such as MNASNet, ask for the version of their form, which a plain dict lacks: it
    is the network's own.
    """
    state = OrderedDict(values)
    own: Any = network.state_dict(keep_vars=True)  # torch hides the versions in an attribute
    state._metadata = own._metadata  # type: ignore[attr-defined]
    network.load_state_dict(state, strict=strict, assign=assign)


class Cast(nn.Module):
    """A network that computes in another type; float32 goes in and comes out.

    The network itself is changed.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype):
        super().__init__()
        last = torch.channels_last
        network = network.to(dtype=dtype)
        self.network = network.to(memory_format=last)  # type: ignore[call-overload]  # torch's
        self.dtype = dtype

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        answers: torch.Tensor = self.network(samples.to(self.dtype))
        return answers.float()


class Normalize(nn.Module):
    """Samples 0..255, float [N, 3, H, W], to the mean 0 and deviation 1 of the training."""

    mean: torch.Tensor  # [1, 3, 1, 1], in samples
    std: torch.Tensor

    def __init__(self, preprocessing: Preprocessing):
        super().__init__()
        self.register_buffer("mean", _per_channel(preprocessing.mean), persistent=False)
        self.register_buffer("std", _per_channel(preprocessing.std), persistent=False)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return (samples - self.mean) / self.std


def _per_channel(values: tuple[float, float, float]) -> torch.Tensor:
    """Fractions to samples, [1, 3, 1, 1]."""
    return torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1) * 255.0


def _check_known(architecture: str) -> None:
    if architecture not in architectures():
        raise ValueError(
            f"model '{architecture}' is not a torchvision classification model; "
            f"known: {', '.join(architectures())}"
        )


def _arguments(architecture: str, image_size: int) -> dict[str, Any]:
    if architecture in _AUXILIARY:
        return {"aux_logits": False, "transform_input": True, "init_weights": True}
    # attention over a fixed grid of patches: the size is part of the network
    if architecture.startswith("vit_"):
        return {"image_size": image_size}
    if architecture == "maxvit_t":
        return {"input_size": (image_size, image_size)}
    return {}


def _last_layer(network: nn.Module) -> str:
    """The name of the last linear layer, or of the last convolution where there is none."""
    linear = ""
    convolution = ""
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear):
            linear = name
        elif isinstance(module, nn.Conv2d):
            convolution = name
    return linear or convolution


def _head(last: nn.Module, classes: int, hidden: tuple[int, ...]) -> nn.Module:
    """Layers of the same kind as the one they replace.

    SqueezeNet classifies by a 1x1 convolution, all others by a linear layer.
    """
    if not isinstance(last, nn.Conv2d):
        width: Any = last.in_features  # torch types it loosely
        return _linear_layers(width, classes, hidden)
    return _stack(
        nn.Conv2d(inputs, outputs, kernel_size=1)
        for inputs, outputs in itertools.pairwise([last.in_channels, *hidden, classes])
    )


def _linear_layers(width: int, classes: int, hidden: tuple[int, ...]) -> nn.Module:
    return _stack(
        nn.Linear(inputs, outputs)
        for inputs, outputs in itertools.pairwise([width, *hidden, classes])
    )


def _stack(layers: Iterable[nn.Module]) -> nn.Module:
    """Layers with a ReLU between each two; a single one as it is."""
    first, *others = layers
    if not others:
        return first
    stacked = [first]
    for layer in others:
        stacked += [nn.ReLU(), layer]
    return nn.Sequential(*stacked)
