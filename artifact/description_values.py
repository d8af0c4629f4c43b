"""The values of a model.json, which may come from anyone: whether each is of its kind.

It knows no file and no network; artifact/model.py says where the values stand.
"""

import math
from collections.abc import Collection
from typing import Any

from artifact.text.names import is_text

NEEDED = {"classes", "preprocessing", "architecture"}
OBJECTS = ("accuracy", "quantization", "calibration", "provenance", "known", "probe")
SHOWN = 200  # characters of a value in a sentence
WRONG = "has a value that does not work:"


def check_values(values: dict[str, Any], known: Collection[str]) -> None:
    """ValueError, with what follows on the file's name in a sentence, for a value that is wrong.

    values: of the JSON. known: the names of all fields.
    """
    if NEEDED - values.keys() or values.keys() - set(known):
        found = ", ".join(sorted(values))
        raise ValueError(f"has fields {found[:SHOWN]}; expected {', '.join(sorted(known))}")
    if not _is_number(values.get("temperature", 1.0)) or values.get("temperature", 1.0) <= 0:
        temperature = shown(values["temperature"])
        raise ValueError(f"{WRONG} temperature {temperature}; expected a number above 0")
    if not _are_class_names(values["classes"]):
        classes = shown(values["classes"])
        raise ValueError(f"has classes {classes}; expected a list of two or more different names")
    if not isinstance(values["architecture"], str) or not is_text(values["architecture"]):
        raise ValueError(f"has architecture {shown(values['architecture'])}; expected a name")
    for name in OBJECTS:
        if not isinstance(values.get(name, {}), dict):
            raise ValueError(f"has {name} {shown(values[name])}; expected an object")
    _check_accuracy(values.get("accuracy", {}))
    _check_known(values.get("known", {}))
    _check_probe(values.get("probe", {}))


def shown(value: object) -> str:
    """A value in a sentence, cut where it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _is_number(value: object) -> bool:
    """Whether it is a finite number that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _are_class_names(classes: object) -> bool:
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        return False
    # JSON can hold half of a surrogate pair; no answer could.
    if not all(map(is_text, classes)):
        return False
    return len(classes) >= 2 and len(classes) == len(set(classes))


def is_share(value: Any) -> bool:
    """Whether it is a number from 0 to 1."""
    return _is_number(value) and bool(0 <= value <= 1)


def _check_accuracy(accuracy: dict[str, Any]) -> None:
    """ValueError unless each share is a number from 0 to 1, or missing."""
    for channel, share in accuracy.items():
        if share is not None and not is_share(share):
            raise ValueError(
                f"{WRONG} accuracy {shown(share)} of {shown(channel)}; "
                "expected a number from 0 to 1"
            )


def _check_known(known: dict[str, Any]) -> None:
    if known and not _is_number(known.get("threshold")):
        threshold = shown(known.get("threshold"))
        raise ValueError(f"{WRONG} threshold {threshold} of known; expected a number")


def _check_probe(probe: dict[str, Any]) -> None:
    """ValueError unless a probe has its two numbers and its machine."""
    if not probe:
        return
    photos = probe.get("photos")
    bound = probe.get("bound")
    whole = isinstance(photos, int) and _is_number(photos) and photos > 0
    number = isinstance(bound, int | float) and _is_number(bound) and bound >= 0
    if not whole or not number or not isinstance(probe.get("machine"), str):
        raise ValueError(f"has probe {shown(probe)}; expected its photos, machine and bound")
