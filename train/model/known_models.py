"""Whether a model's name is known to the libraries that build it."""

from artifact.network import architectures
from artifact.timm_network import timm_architectures
from recipes.published import unknown_model
from train.job import JobError


def check_model(name: str) -> None:
    """JobError for a model that neither torchvision nor timm has, with the nearest names."""
    known = architectures()
    if name in known:
        return  # without timm's seconds of loading
    sentence = unknown_model(name, known, timm_architectures())
    if sentence:
        raise JobError(sentence)
