"""A database's URL: what of it may be shown, and how its password stays out of sight.

A password in a command line is readable to every user of the machine. So a search that is given
one there starts itself again, with the URL in its environment.
"""

import os
import sys
from collections.abc import MutableMapping, Sequence

VARIABLE = "SLIPWAY_STORAGE"
HIDDEN = "…"
SHORTEST_SECRET = 4  # characters; shorter ones are parts of ordinary words


def shown(url: str) -> str:
    """The URL without user, password and options, any of which may be a secret."""
    plain = url.partition("?")[0]
    head, at, tail = plain.rpartition("@")
    if not at:
        return plain
    scheme = head.partition("://")[0]
    return f"{scheme}://{HIDDEN}@{tail}"


def without_secrets(text: str, url: str) -> str:
    """A text, such as a driver's error, with neither the URL nor its password in it."""
    text = text.replace(url, shown(url))
    for secret in _secrets(url):
        text = text.replace(secret, HIDDEN)
    return text


def given_or_hidden(
    given: str | None,
    environment: MutableMapping[str, str] | None = None,
    command: Sequence[str] | None = None,
) -> str | None:
    """The storage's URL: the one of the command line, else the environment's, which forgets it.

    With a secret in the command line this process becomes one without. command: of this process,
    from its interpreter on.
    """
    environment = os.environ if environment is None else environment
    command = sys.orig_argv if command is None else command
    kept = environment.pop(VARIABLE, None)
    if given is None:
        return kept
    if kept is not None and shown(kept) == given:  # of the command before it was hidden
        return kept
    if not _secrets(given) or not any(given in word for word in command):
        return given
    words = [word.replace(given, shown(given)) for word in command]
    os.execve(sys.executable, words, {**environment, VARIABLE: given})


def _secrets(url: str) -> list[str]:
    """The password as it is written and as it is read; of options, all values."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    plain, _, options = url.partition("?")
    userinfo = plain.rpartition("@")[0].partition("://")[2]
    found = {userinfo.partition(":")[2]}
    found |= {option.partition("=")[2] for option in options.split("&") if "pass" in option}
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # whoever opens it says so
        parsed = None
    if parsed is not None and parsed.password:
        found.add(str(parsed.password))
    return sorted((word for word in found if len(word) >= SHORTEST_SECRET), key=len, reverse=True)
