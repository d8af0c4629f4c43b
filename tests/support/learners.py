"""Learners of small networks, for tests of single steps and epochs."""

import torch

from artifact.networks.network import build
from artifact.photos.preprocessing import Preprocessing
from recipes.hyperparameters import parse
from tests.support.jobs import SMALL
from train.learning.loop import Learner
from train.learning.optimization import make_optimizer
from train.model.trainable import freeze

PREPROCESSING = Preprocessing(36, 32)
CPU = torch.device("cpu")


def make_learner(
    trainable: str = "all", model: str = "resnet18", classes: int = 3, **settings: object
) -> Learner:
    """A learner on the CPU, always with the same first values; settings as hyperparameters."""
    # Two learners of one test must start alike.
    torch.manual_seed(0)
    texts = {name: str(value) for name, value in settings.items()}
    hp = parse({**SMALL, "model": model, "trainable": trainable, **texts})
    network = build(hp.model, classes, hp.head, 32)
    frozen = freeze(network, trainable)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = make_optimizer(parameters, hp)
    return Learner(network, classes, frozen, optimizer, hp, PREPROCESSING, CPU)


def one_hot(labels: list[int], classes: int) -> torch.Tensor:
    """float32 [N, classes]."""
    return torch.nn.functional.one_hot(torch.tensor(labels), classes).float()
