"""The sentence for an unknown name, with the nearest known one. Every command line may use it."""

import difflib
from collections.abc import Iterable

CUTOFF = 0.6  # difflib's own default: `sagemeker` finds `sagemaker`, `foo` finds nothing


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like the given one; None where none does."""
    by_form = {_plain(candidate): candidate for candidate in known}
    found = difflib.get_close_matches(_plain(name), by_form, n=1, cutoff=CUTOFF)
    return by_form[found[0]] if found else None


def unknown(what: str, name: str, known: Iterable[str], aliases: Iterable[str] = ()) -> str:
    """One sentence for an unknown name.

    what: the kind of name, such as `setting`. aliases: other accepted names, suggested but not
    listed.
    """
    listed = list(known)
    guess = nearest(name, [*listed, *aliases])
    hint = f" (did you mean '{guess}'?)" if guess else ""
    return f"{what} '{name}' is unknown{hint}; known: {', '.join(listed)}"


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
