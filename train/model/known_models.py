"""Whether a model's name is known, and which names look like it where it is not."""

from artifact.network import architectures
from artifact.timm_network import is_timm, timm_architectures
from recipes.suggestion import nearest_ones
from train.job import JobError


def check_model(name: str) -> None:
    """JobError for a model that neither torchvision nor timm has, with the nearest names."""
    if is_timm(name):
        known = timm_architectures()
        # after the point: which of its weights
        if name.partition(".")[0] in known:
            return
        what = "is not one of timm's classifiers"
    else:
        known = architectures()
        if name in known:
            return
        what = "is not a torchvision classification model"
        known = known + timm_architectures()
    near = _near(name.partition(".")[0], known)
    if near:
        raise JobError(f"model '{name}' {what}; did you mean {' or '.join(near)}?")
    raise JobError(
        f"model '{name}' {what}; give a name of torchvision's, such as resnet50, "
        "or timm/NAME with one of timm's, such as timm/tf_efficientnet_lite0"
    )


def _near(name: str, known: list[str]) -> list[str]:
    """Names that go on where a cut one ends, such as timm/vit_base, the shortest first; or like it.

    A name of the hub's (hf_hub:timm/NAME) is that of timm's.
    """
    last = name.rpartition("/")[2].lower()
    longer = [found for found in known if last and found.rpartition("/")[2].startswith(f"{last}_")]
    return sorted(longer, key=len)[:3] or nearest_ones(name, known)
