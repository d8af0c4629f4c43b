"""The three parts of a data set, and the names that people give them."""

import re

CHANNEL_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}
MODEL_CHANNEL = "model"  # with an earlier artifact, from which a training goes on
ROLE_OF: dict[str, str] = {}  # by any of these names
for _role, _names in CHANNEL_NAMES.items():
    ROLE_OF.update(dict.fromkeys(_names, _role))

# Folders of published sets: train_images, seg_test, test_set, train2017, dev, evaluation.
_BESIDE = r"(?:seg|data|set|split|images?|imgs?|photos?|pictures?|files?|\d)"
_PART = re.compile(
    rf"(?:{_BESIDE}[\W_]*)*"
    r"(?P<role>train(?:ing)?|val(?:id(?:ation)?)?|dev|test(?:ing)?|eval(?:uation)?)"
    rf"(?:[\W_]*{_BESIDE})*"
)
_FURTHER = {"dev": "validation", "eval": "test", "evaluation": "test"}


def role_in(name: str) -> str | None:
    """The part that a folder's name speaks of, alone or among words that say nothing of classes.

    Such a name is sure only beside that of another part.
    """
    found = _PART.fullmatch(name.lower())
    if found is None:
        return None
    return ROLE_OF.get(found["role"]) or _FURTHER[found["role"]]
