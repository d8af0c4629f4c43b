"""Which models and published weights there are, by name, without loading torch or timm.

published_weights.txt has a line for each model: its name, then the names of its weights, the
default first. tests/train/test_known_models.py holds it against the libraries.
"""

import functools
from collections.abc import Collection, Iterable
from pathlib import Path

from recipes.errors import RecipeError
from recipes.suggestion import hint, nearest_ones

LIST = Path(__file__).with_name("published_weights.txt")
TIMM = "timm/"
RANDOM = "none"
IMAGENET = "imagenet"
# .ckpt is Lightning's, .pth.tar that of PyTorch's ImageNet example, .bin Hugging Face's.
WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".pth.tar", ".bin")


@functools.cache
def published() -> dict[str, tuple[str, ...]]:
    """Each model with the names of its published weights."""
    lines = LIST.read_text(encoding="ascii").splitlines()
    words = [line.split() for line in lines]
    return {name: tuple(weights) for name, *weights in words}


def unknown_model(name: str, torchvision: Collection[str], timm: Collection[str]) -> str:
    """One sentence for a model that neither has, with the nearest names; "" for a known one."""
    plain = name.partition(".")[0]  # after the point: which of its weights
    if name.startswith(TIMM):
        if plain in timm:
            return ""
        what = "is not one of timm's classifiers"
        known = list(timm)
    else:
        if name in torchvision:
            return ""
        what = "is not a torchvision classification model"
        known = [*torchvision, *timm]
    near = _near(plain, known)
    if near:
        return f"model '{name}' {what}; did you mean {' or '.join(near)}?"
    return (
        f"model '{name}' {what}; give a name of torchvision's, such as resnet50, "
        "or timm/NAME with one of timm's, such as timm/tf_efficientnet_lite0"
    )


def check_published(model: str, weights: str, channels: Iterable[str]) -> None:
    """RecipeError for a model that is none, and for weights that can be none of this model's.

    channels: names of those of the training, any of which may hold weights.
    """
    known = published()
    timm = [name for name in known if name.startswith(TIMM)]
    torchvision = [name for name in known if not name.startswith(TIMM)]
    sentence = unknown_model(model, torchvision, timm)
    if sentence:
        raise RecipeError(sentence)
    plain, _, tag = model.partition(".")
    if tag and tag not in known[plain]:
        raise RecipeError(_unpublished(plain, tag))
    if weights in (RANDOM, IMAGENET, *known[plain], *channels):
        return
    if is_file(weights):
        return
    raise RecipeError(_unpublished(plain, weights))


def is_file(weights: str) -> bool:
    """Whether a setting of weights that is no channel's name means a file."""
    return weights.endswith(WEIGHT_SUFFIXES) or "/" in weights


def _unpublished(model: str, weights: str) -> str:
    names = published()[model]
    guess = hint(weights, [IMAGENET, RANDOM, *names])
    return (
        f"weights '{weights}' are not published for {model}{guess}; "
        f"known: {', '.join((IMAGENET, RANDOM, *names))}, a channel, or a file"
    )


def _near(name: str, known: list[str]) -> list[str]:
    """Names that go on where a cut one ends, such as timm/vit_base, the shortest first; or like it.

    A name of the hub's (hf_hub:timm/NAME) is that of timm's.
    """
    last = name.rpartition("/")[2].lower()
    longer = [found for found in known if last and found.rpartition("/")[2].startswith(f"{last}_")]
    return sorted(longer, key=len)[:3] or nearest_ones(name, known)
