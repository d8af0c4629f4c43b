"""How far a photo is from all that a training has seen: the score behind `known` in an answer.

The score is the cosine distance, 0 to 2, from the head's inputs of a photo to the nearest mean of a
class. Each training photo's inputs count in it as a direction alone, of length 1. A network's size
of a feature says little about what it has seen; its direction says more (Sun et al., ICML 2022).

The means are `model.known.safetensors`, float32 [classes, D]. They are in the graphs, too, so that
every engine computes the same score. Loads torch.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn
from torch.nn import functional

from artifact.model import KNOWN_FILE, ArtifactError, Description, write_atomically

NAME = "class_means"  # of the tensor in the file


class Distance(nn.Module):
    """From a head's inputs [N, D] to their distance from the nearest mean, float32 [N, 1]."""

    def __init__(self, means: torch.Tensor):
        super().__init__()
        # [classes, D], each of length 1. A parameter: torch.fx would bake a buffer's type in
        self.means = nn.Parameter(means, requires_grad=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        # float32: half precision would round the distances, whose differences are small
        directions = functional.normalize(features.float(), dim=1)
        return 1 - (directions @ self.means.float().T).amax(1, keepdim=True)


class HeadWithDistance(nn.Module):
    """A linear head that adds the distance as a last column: [N, D] to [N, classes + 1]."""

    def __init__(self, head: nn.Module, means: torch.Tensor):
        super().__init__()
        self.head = head
        self.distance = Distance(means)  # artifact/engines/quantization.py knows its name

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(features)
        return torch.cat([logits.float(), self.distance(features)], 1)


def class_means(features: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The classes' mean directions, float32 [classes, D], each of length 1.

    features: float32 [N, D]. targets: float [N, classes], above 0 for each label of a photo. A
    class without photos gets zeros, from which every photo has the distance 1.
    """
    directions = functional.normalize(features.double(), dim=1)
    shares = (targets > 0).double()
    return functional.normalize(shares.T @ directions, dim=1).float()


def distances(features: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
    """Those of features, float32 [N, D], as every engine computes them, float32 [N]."""
    found: torch.Tensor = Distance(means)(features)
    return found[:, 0]


@contextlib.contextmanager
def with_distance(network: nn.Module, means: torch.Tensor | None) -> Iterator[None]:
    """While this lasts, the network's answers have the distance as a last column.

    network: of artifact.networks.network.build. Without means nothing changes.
    """
    if means is None:
        yield
        return
    name = str(network.head_name)
    head = network.get_submodule(name)
    device = next(head.parameters()).device
    _put(network, name, HeadWithDistance(head, means.to(device)).eval())
    try:
        yield
    finally:
        _put(network, name, head)


def add_distance(network: nn.Module, means: torch.Tensor) -> None:
    """The same for good."""
    name = str(network.head_name)
    _put(network, name, HeadWithDistance(network.get_submodule(name), means))


def _put(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(parent), attribute, module)


def write_class_means(directory: Path, means: torch.Tensor) -> None:
    """Write model.known.safetensors. Raises OSError when the directory cannot take it."""
    data = safetensors.torch.save({NAME: means.contiguous()})
    write_atomically(Path(directory) / KNOWN_FILE, data)


def read_class_means(directory: Path, description: Description) -> torch.Tensor:
    """The means of an artifact whose description has a score. Raises ArtifactError."""
    path = Path(directory) / KNOWN_FILE
    try:
        means = safetensors.torch.load_file(path)[NAME]
    except (OSError, KeyError, safetensors.SafetensorError) as error:
        raise ArtifactError(f"'{path}' cannot be read as the classes' means ({error})") from error
    if means.ndim != 2 or len(means) != len(description.classes):
        raise ArtifactError(
            f"'{path}' holds means {list(means.shape)}; "
            f"model.json says {len(description.classes)} classes"
        )
    return means
