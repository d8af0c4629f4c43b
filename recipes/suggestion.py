"""The sentence for an unknown name, with the nearest known one. Every command line may use it."""

import difflib
from collections.abc import Iterable

CUTOFF = 0.6  # difflib's own default: `sagemeker` finds `sagemaker`, `foo` finds nothing


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like the given one; None where none does."""
    found = nearest_ones(name, known, 1)
    return found[0] if found else None


def nearest_ones(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """The known names that look like the given one, the nearest first."""
    # `-` and `_` are one letter here, and so are capitals.
    by_form = {_plain(candidate): candidate for candidate in known}
    found = difflib.get_close_matches(_plain(name), by_form, n=most, cutoff=CUTOFF)
    return [by_form[form] for form in found]


def unknown(what: str, name: str, known: Iterable[str], aliases: Iterable[str] = ()) -> str:
    """One sentence for an unknown name.

    what: the kind of name, such as `setting`. aliases: other accepted names, suggested but not
    listed.
    """
    listed = list(known)
    guess = hint(name, [*listed, *aliases])
    return f"{what} '{name}' is unknown{guess}; known: {', '.join(listed)}"


def hint(name: str, known: Iterable[str]) -> str:
    """The nearest known name as the end of a sentence; empty where none is near."""
    guess = nearest(name, known)
    return f" (did you mean '{guess}'?)" if guess else ""


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
