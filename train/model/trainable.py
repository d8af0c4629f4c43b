"""The parts of a network that train, and the frozen ones."""

import torch
from torch import nn

from artifact.networks.timm_network import BACKBONE
from recipes.networks import unknown_module
from train.job import JobError


def head_name(network: nn.Module) -> str:
    """The dotted name of the head, which artifact.networks.network.build put into the network."""
    return str(network.head_name)


def freeze(network: nn.Module, trainable: str) -> list[nn.Module]:
    """Let only `trainable` train: `head`, `all`, or a module by its dotted name and all after it.

    "After" is the order in which the network lists its modules, which in torchvision's is that of
    the data. Returns the frozen modules, to be kept in eval mode by `set_training`. JobError for
    an unknown name.
    """
    if trainable == "all":
        network.requires_grad_(True)
        return []
    first = trainable
    if trainable == "head":
        first = head_name(network)
    modules = list(network.named_modules())  # a module comes before its children
    names = [name for name, _ in modules]
    if f"{BACKBONE}.{first}" in names:  # timm's own name of a module
        first = f"{BACKBONE}.{first}"
    if not first or first not in names:
        outer = getattr(network, BACKBONE, network)
        known = [name for name, _ in outer.named_children()]
        raise JobError(unknown_module(trainable, known))
    index = names.index(first)
    network.requires_grad_(False)
    for _, module in modules[index:]:
        module.requires_grad_(True)
    # not the modules around the first one: they hold trainable parts
    return [module for name, module in modules[:index] if name and not first.startswith(f"{name}.")]


def learned(network: nn.Module, frozen: list[nn.Module]) -> dict[str, torch.Tensor]:
    """The values that training changes, by name in the network's state.

    They are the trainable parameters, and the buffers outside the frozen modules.
    """
    fixed = {id(value) for value in network.parameters() if not value.requires_grad}
    for module in frozen:
        fixed |= {id(value) for value in module.parameters(recurse=False)}
        fixed |= {id(value) for value in module.buffers(recurse=False)}
    state = network.state_dict(keep_vars=True)  # the tensors themselves, for their ids
    return {name: value.detach() for name, value in state.items() if id(value) not in fixed}


def set_training(
    network: nn.Module, frozen: list[nn.Module], frozen_statistics: bool = False
) -> None:
    """Training mode for the trainable modules only.

    Frozen BatchNorm keeps its statistics, and frozen dropout lets all values through.
    frozen_statistics: every BatchNorm keeps its statistics, also where its weights learn.
    """
    network.train()
    for module in frozen:
        module.eval()
    if frozen_statistics:
        for module in network.modules():
            if hasattr(module, "running_mean"):
                module.eval()
