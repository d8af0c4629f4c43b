"""The outer modules of most models' networks, by name, without loading torch or timm.

networks.txt has a line for all networks of one form: the head's name, the outer modules, `=`, and
the models. `features:31` is a module of 31 that are called 0 to 30. A timm name stands without its
`timm/`, after a `/`. tests/train/test_known_models.py holds it against the libraries. The modules
of other models are known when they are built.
"""

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from recipes.errors import RecipeError
from recipes.published import TIMM
from recipes.suggestion import hint

LIST = Path(__file__).with_name("networks.txt")
WORDS = ("head", "all")  # that trainable takes of any model
BACKBONE = "backbone"  # around timm's own modules


class Outline(NamedTuple):
    """A network's head by its dotted name, and its outer modules with their numbered ones.

    0: what a module holds has names, or is nothing.
    """

    head: str
    modules: dict[str, int]


@functools.cache
def outlines() -> dict[str, Outline]:
    """The outline of each network that is listed."""
    found: dict[str, Outline] = {}
    for line in LIST.read_text(encoding="ascii").splitlines():
        form, _, models = line.partition(" = ")
        head, *modules = form.split()
        outline = Outline(head, dict(map(_module, modules)))
        found |= dict.fromkeys((model.replace("/", TIMM, 1) for model in models.split()), outline)
    return found


def outline_of(model: str) -> Outline | None:
    """The outline of a model's network; None for one that is not listed."""
    return outlines().get(model.partition(".")[0])


def check_trainable(model: str, trainable: str) -> None:
    """RecipeError where `trainable` can name no module of the model."""
    outline = outline_of(model)
    if trainable in WORDS or outline is None:
        return
    name = trainable
    if model.startswith(TIMM):
        if trainable == BACKBONE:
            return
        name = trainable.removeprefix(f"{BACKBONE}.")
    outer, _, inner = name.partition(".")
    if outer not in outline.modules:
        raise RecipeError(unknown_module(trainable, outline.modules))
    count = outline.modules[outer]
    number = inner.partition(".")[0]
    if number and count and number not in map(str, range(count)):
        raise RecipeError(
            f"hyperparameter trainable '{trainable}' is no module of {model}; "
            f"those of {outer} are {outer}.0 to {outer}.{count - 1}"
        )


def unknown_module(trainable: str, modules: Iterable[str]) -> str:
    """One sentence for a name that no module has, with the nearest one."""
    known = list(modules)
    return (
        f"hyperparameter trainable '{trainable}' is neither head, all nor a module of this "
        f"model{hint(trainable, [*WORDS, *known])}; its modules: {', '.join(known)}"
    )


def _module(word: str) -> tuple[str, int]:
    name, _, count = word.partition(":")
    return name, int(count or 0)
