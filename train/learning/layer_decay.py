"""A lower learning rate for earlier layers: the trainable parameters in groups, block by block.

Features of early layers are general, those of late ones are the old task's (Howard and Ruder,
"Universal Language Model Fine-tuning", 2018).
"""

from collections.abc import Iterator
from typing import Any

from torch import nn

SCALE = "lr_scale"  # of a group: the factor of the learning rate


def parameter_groups(network: nn.Module, layer_decay: float) -> list[dict[str, Any]]:
    """The trainable parameters for an optimizer, with a factor of the rate for each group.

    The last block has the factor 1, each one in front of it `layer_decay` times the next one's.
    """
    if layer_decay == 1:
        return [{"params": [value for value in network.parameters() if value.requires_grad]}]
    found = blocks(network)
    groups: list[dict[str, Any]] = []
    for place, block in enumerate(found):
        trainable = [value for value in block if value.requires_grad]
        if trainable:
            scale = layer_decay ** (len(found) - 1 - place)
            groups.append({"params": trainable, SCALE: scale})
    return groups


def blocks(network: nn.Module) -> list[list[nn.Parameter]]:
    """All parameters of a network, block by block in the order of the data.

    A block is a part that no list of modules holds, or one entry of such a list. What has only
    vectors, as a normalisation has, belongs to the block before it. The first block has what no
    part holds, such as the positions of a transformer.
    """
    found: list[list[nn.Parameter]] = [[]]
    taken: set[int] = set()
    for unit in _units(network):
        own = [value for value in unit.parameters() if id(value) not in taken]
        taken |= {id(value) for value in own}
        if any(value.ndim > 1 for value in own) and found[-1]:
            found.append(own)
        else:
            found[-1] += own
    found[0] += [value for value in network.parameters() if id(value) not in taken]
    return found


def _units(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(child, (nn.Sequential, nn.ModuleList)):
            yield from child.children()
        elif any(isinstance(part, (nn.Sequential, nn.ModuleList)) for part in child.children()):
            yield from _units(child)
        else:
            yield child
