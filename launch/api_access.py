"""Who may ask the API, and what it shows: the callers' key, and the line that says both."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from artifact.text.names import printable
from launch.context import LaunchContext
from launch.requests_api import samples

# Stands for the key in a dry run without one.
NO_KEY = "0" * 32
# Of a key that is made here: bytes from the system's source of random numbers.
KEY_BYTES = 24


@dataclass(frozen=True)
class Key:
    """The key that callers must send, empty for none, and the place where the user finds it."""

    text: str
    place: str = ""


def api_key(context: LaunchContext) -> Key:
    """The key of SLIPWAY_API_KEY, else the one that an earlier command made, else a new one.

    No recipe and no option holds it: a recipe must hold no secrets, and other users of the machine
    see a command's options. A made key lies beside the notes of what was started.
    """
    given = os.environ.get("SLIPWAY_API_KEY", "")
    # With another kind of access a given key is a contradiction, which the request refuses.
    if given or context.recipe.sagemaker.api.access != "key":
        return Key(given, "SLIPWAY_API_KEY")
    path = key_file(context)
    if path.is_file():
        return Key(path.read_text(encoding="ascii").strip(), str(path))
    if context.dry:
        context.print(f"dry run: SLIPWAY_API_KEY is not set; '{NO_KEY}' stands for a new key")
        return Key(NO_KEY, str(path))
    return Key(new_key(path), str(path))


def key_file(context: LaunchContext) -> Path:
    return context.state.path.with_suffix(".api-key")


def new_key(path: Path) -> str:
    """A new key, in a file that only its owner may read. OSError where it cannot be written."""
    key = secrets.token_hex(KEY_BYTES)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{key}\n")
    return key


def forget_key(context: LaunchContext) -> None:
    """Remove a made key once its API is gone."""
    key_file(context).unlink(missing_ok=True)


def access_line(context: LaunchContext, key: Key) -> str:
    """One line: who may ask, and which photos are shown to them."""
    api = context.recipe.sagemaker.api
    who = {
        "key": f"only callers that send the key of {printable(key.place)} as X-Api-Key may ask",
        "jwt": f"only callers with a token of {api.jwt_issuer} may ask",
        "open": "EVERYONE who has the URL may ask, at your cost",
    }[api.access]
    shown = "no photos are shown"
    place = samples(context.recipe, context.location)
    if place:
        shown = f"the photos of {place} are shown to them"
    return f"api: {who}; {shown}"
