"""What an artifact's graph is made of: from pixels to a photo's answer. Loads torch."""

import torch
from torch import nn

from artifact.model import Description
from artifact.networks.network import Normalize
from artifact.photos.preprocessing import Preprocessing


class Probabilities(nn.Module):
    """The exported module: uint8 [N, S, S, 3] pixels to float32 [N, classes] probabilities.

    They sum to 1; with multi_label each is independent of the others. flip_average: the logits are
    the mean of those of the photo and of its mirror image.
    has_distance: the network's last column is the distance of artifact.class_means, which comes out
    last, too, as it is.
    """

    def __init__(
        self,
        network: nn.Module,
        preprocessing: Preprocessing,
        temperature: float = 1.0,
        multi_label: bool = False,
        flip_average: bool = False,
        has_distance: bool = False,
    ):
        super().__init__()
        self.network = network
        self.multi_label = multi_label
        self.flip_average = flip_average
        self.has_distance = has_distance
        self.temperature = temperature
        self.normalize = Normalize(preprocessing)

    @classmethod
    def of(cls, network: nn.Module, description: Description) -> "Probabilities":
        """The module of an artifact's description."""
        return cls(
            network,
            description.preprocessing,
            description.temperature,
            description.multi_label,
            description.flip_average,
            has_distance=bool(description.known),
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        samples = pixels.permute(0, 3, 1, 2).float()  # to [N, 3, S, S]
        normal = self.normalize(samples)
        answers: torch.Tensor = self.network(normal)
        mean = answers
        if self.flip_average:
            mean = (answers + self.network(normal.flip(3))) / 2
        if not self.has_distance:
            return self._probabilities(mean)
        # the distance of the photo alone, as its threshold was measured
        return torch.cat([self._probabilities(mean[:, :-1]), answers[:, -1:]], 1)

    def _probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        logits = logits / self.temperature
        if self.multi_label:
            return torch.sigmoid(logits)
        return torch.softmax(logits, dim=1)
