"""Which parts of a network train: the cut between what is frozen and what learns."""

import torch
from torch import nn

from train.job import JobError


def freeze(network: nn.Module, trainable: str) -> list[nn.Module]:
    """Let only `trainable` learn: `head`, `all`, or a module's dotted name, it and all that comes after it.

    "After" is the order in which the network lists its modules, which in torchvision's is that of the data.
    Returns the frozen modules, to be kept in eval (`set_training`). JobError for an unknown name.
    """
    if trainable == "all":
        network.requires_grad_(True)
        return []
    cut = network.head_name if trainable == "head" else trainable
    modules = list(network.named_modules())  # a module comes before its children
    index = next((index for index, (name, _) in enumerate(modules) if name and name == cut), None)
    if index is None:
        known = ", ".join(name for name, _ in network.named_children())
        raise JobError(
            f"hyperparameter trainable '{trainable}' is neither head, all nor a module of this model; its modules: {known}"
        )
    network.requires_grad_(False)
    for _, module in modules[index:]:
        module.requires_grad_(True)
    return [module for name, module in modules[:index] if name and not cut.startswith(f"{name}.")]


def learned(network: nn.Module, frozen: list[nn.Module]) -> dict[str, torch.Tensor]:
    """What training changes, by its name in the network's state: learning parameters, and buffers that are not frozen."""
    still = {
        id(value)
        for module in frozen
        for value in [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    }
    fixed = {id(parameter) for parameter in network.parameters() if not parameter.requires_grad}
    return {
        name: value.detach()
        for name, value in network.state_dict(keep_vars=True).items()
        if id(value) not in still | fixed
    }


def set_training(network: nn.Module, frozen: list[nn.Module]) -> None:
    """Training mode for what learns; frozen BatchNorm keeps its statistics and frozen dropout stays out of the way."""
    network.train()
    for module in frozen:
        module.eval()
