"""Which models there are by name, and which of their published ImageNet weights a setting means."""

from artifact.networks.network import architectures, weights_entry
from artifact.networks.timm_network import is_timm, timm_architectures, timm_config, timm_tags
from recipes.published import unknown_model
from train.job import JobError

IMAGENET = "imagenet"
DEFAULT = "DEFAULT"  # torchvision's word; of timm the first tag
# Trained by the plain recipe. Later ones are regularised harder: better on ImageNet itself, worse
# as frozen features of other photos (Kornblith, Shlens and Le, CVPR 2019, section 4.2).
PLAIN = "IMAGENET1K_V1"
TIMM_PLAIN = "tv_in1k"  # the same weights, in timm


def check_model(name: str) -> None:
    """JobError for a model that neither torchvision nor timm has, with the nearest names."""
    known = architectures()
    if name in known:
        return  # without timm's seconds of loading
    sentence = unknown_model(name, known, timm_architectures())
    if sentence:
        raise JobError(sentence)


def is_published(architecture: str, weights: str) -> bool:
    """Whether `weights` is `imagenet` or the name of published ones."""
    if weights == IMAGENET or weights.startswith("IMAGENET"):
        return True
    return is_timm(architecture) and weights in timm_tags(architecture)


def published_name(architecture: str, weights: str, trainable: str) -> str:
    """The name of the weights that the settings mean: torchvision's name, or timm's tag.

    Of several, a frozen backbone takes those of the plain recipe. DEFAULT where the setting names a
    channel, a file or no weights: a photo's sizes are then those of the default ones. ValueError
    for an unknown architecture or name.
    """
    if not is_published(architecture, weights):
        return DEFAULT
    if weights != IMAGENET:
        _check_published(architecture, weights)
        return weights
    if is_timm(architecture):
        if trainable == "head" and "." not in architecture and _has_plain(architecture):
            return TIMM_PLAIN
        return str(timm_config(architecture).tag or DEFAULT)
    default = weights_entry(architecture)
    if trainable == "head" and PLAIN in type(default).__members__:
        return PLAIN
    return str(default.name)


def _has_plain(architecture: str) -> bool:
    return TIMM_PLAIN in timm_tags(architecture)


def _check_published(architecture: str, name: str) -> None:
    """ValueError for a name that is not published."""
    if is_timm(architecture):
        timm_config(architecture, name)
    else:
        weights_entry(architecture, name)


def choice_words(architecture: str, weights: str, trainable: str) -> str:
    """What to say of the choice, where there was one; else ""."""
    name = published_name(architecture, weights, trainable)
    other = published_name(architecture, weights, "all")
    if name == other:
        return ""
    return (
        f"weights: {name}, of the plain recipe, whose features suit other photos better while the "
        f"backbone is frozen; weights={other} takes the ones that are better on ImageNet itself"
    )
