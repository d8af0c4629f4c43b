"""The network itself: any torchvision classification model with a head of our classes.

Training, export and engines that rebuild the network share it; it loads torch, so nothing imports it that must not.
"""

import contextlib

import torch
import torchvision
from torch import nn
from torch.overrides import TorchFunctionMode

from artifact.preprocessing import Preprocessing

# these two carry auxiliary classifiers, and were trained on inputs scaled otherwise than all the others
_AUXILIARY = {"googlenet", "inception_v3"}


def architectures() -> list[str]:
    """Names of torchvision's classification models, sorted."""
    return sorted(torchvision.models.list_models(module=torchvision.models))


class _Undrawn(TorchFunctionMode):
    """Under it no random number is drawn into a tensor: drawing a hundred million weights that are overwritten next takes a second."""

    DRAWING = (
        torch.Tensor.normal_,
        torch.Tensor.uniform_,
        nn.init.normal_,
        nn.init.uniform_,
        nn.init.kaiming_uniform_,
    )

    def __torch_function__(self, function, types, arguments=(), named=None):
        named = named or {}
        if function in self.DRAWING:
            return named["tensor"] if "tensor" in named else arguments[0]
        return function(*arguments, **named)


def build(
    architecture: str,
    classes: int,
    head: tuple[int, ...] = (),
    image_size: int = 224,
    drawn: bool = True,
) -> nn.Module:
    """A network of random weights: float [N, 3, S, S], normalised, to logits [N, classes].

    drawn: without it weights are whatever the memory held, for the caller to fill. head gives the sizes of hidden layers: (2048, 516) is Linear-ReLU-Linear-ReLU-Linear. The attribute
    `head_name` of the result is the dotted name of the head. ValueError for an unknown architecture.
    """
    _check_known(architecture)
    with contextlib.nullcontext() if drawn else _Undrawn():
        network = torchvision.models.get_model(
            architecture, weights=None, **_arguments(architecture, image_size)
        )
        name = _last_layer(network)
        parent = network.get_submodule(name.rpartition(".")[0])
        setattr(parent, name.rpartition(".")[2], _head(network.get_submodule(name), classes, head))
    network.head_name = name
    return network


def weights_entry(architecture: str, name: str = "DEFAULT") -> torchvision.models.WeightsEnum:
    """torchvision's published weights of an architecture: where they come from and how they were preprocessed."""
    _check_known(architecture)
    known = torchvision.models.get_model_weights(architecture)
    if name != "DEFAULT" and name not in known.__members__:
        raise ValueError(
            f"weights '{name}' are not published for {architecture}; known: {', '.join(known.__members__)}"
        )
    return known.DEFAULT if name == "DEFAULT" else known[name]


def own_preprocessing(architecture: str, name: str = "DEFAULT") -> Preprocessing:
    """The sizes and interpolation torchvision's published weights of this architecture were measured with."""
    preset = weights_entry(architecture, name).transforms()
    crop = preset.crop_size[0]
    return Preprocessing(
        max(crop, preset.resize_size[0]),
        crop,
        preset.interpolation.value,
        tuple(preset.mean),
        tuple(preset.std),
    )


class Probabilities(nn.Module):
    """What is exported: uint8 [N, S, S, 3] pixels to float32 [N, classes] probabilities.

    They add up to 1; with multi_label each stands for itself.
    """

    def __init__(
        self,
        network: nn.Module,
        preprocessing: Preprocessing,
        temperature: float = 1.0,
        multi_label: bool = False,
    ):
        super().__init__()
        self.network = network
        self.multi_label = multi_label
        self.temperature = temperature
        self.normalize = Normalize(preprocessing)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits = self.network(self.normalize(pixels.permute(0, 3, 1, 2).float()))
        return (
            torch.sigmoid(logits / self.temperature)
            if self.multi_label
            else torch.softmax(logits / self.temperature, dim=1)
        )


class Cast(nn.Module):
    """A network that computes in another type than the float32 that goes in and comes out; it is changed in place."""

    def __init__(self, network: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.network = network.to(dtype=dtype, memory_format=torch.channels_last)
        self.dtype = dtype

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return self.network(samples.to(self.dtype)).float()


class Normalize(nn.Module):
    """Samples 0..255, float [N, 3, H, W], to the mean 0 and deviation 1 that the network was trained on."""

    def __init__(self, preprocessing: Preprocessing):
        super().__init__()
        mean, std = (
            torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1) * 255.0
            for values in (preprocessing.mean, preprocessing.std)
        )
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return (samples - self.mean) / self.std


def _check_known(architecture: str) -> None:
    if architecture not in architectures():
        raise ValueError(
            f"model '{architecture}' is not a torchvision classification model; "
            f"known: {', '.join(architectures())}"
        )


def _arguments(architecture: str, image_size: int) -> dict:
    if architecture in _AUXILIARY:
        return {"aux_logits": False, "transform_input": True, "init_weights": True}
    # attention over a fixed grid of patches: the size is part of the network
    if architecture.startswith("vit_"):
        return {"image_size": image_size}
    return {"input_size": (image_size, image_size)} if architecture == "maxvit_t" else {}


def _last_layer(network: nn.Module) -> str:
    layers = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d))
    ]
    linear = [name for name, module in layers if isinstance(module, nn.Linear)]
    return linear[-1] if linear else layers[-1][0]


def _head(last: nn.Module, classes: int, hidden: tuple[int, ...]) -> nn.Module:
    """Layers of the same kind as the one they replace (SqueezeNet classifies by a 1x1 convolution)."""
    if isinstance(last, nn.Conv2d):
        sizes, layer = (
            [last.in_channels, *hidden, classes],
            lambda i, o: nn.Conv2d(i, o, kernel_size=1),
        )
    else:
        sizes, layer = [last.in_features, *hidden, classes], nn.Linear
    layers = [layer(sizes[0], sizes[1])]
    for inputs, outputs in zip(sizes[1:], sizes[2:]):
        layers += [nn.ReLU(), layer(inputs, outputs)]
    return layers[0] if len(layers) == 1 else nn.Sequential(*layers)
