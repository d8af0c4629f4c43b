"""POST /models: the name and the folder in it, and which folders may be loaded.

It knows nothing of models and of Flask: the gateway before multi-model-server asks it, too.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from artifact.text.json_text import read_json
from serve.inputs import JSON_TYPE, InputError

EXPECTED = 'send {"model_name": "…", "url": "/opt/ml/models/…/model"}'
MOST_VALUES = 1000  # in the body
SHOWN = 100  # characters of a name or path in a sentence


@dataclass(frozen=True)
class LoadRequest:
    """name: the model's. url: the path of its folder or archive, as it was sent."""

    name: str
    url: str


def load_request_of(content_type: str, body: bytes, models_folder: Path) -> LoadRequest:
    """The model that a POST /models names; its path lies below models_folder.

    Raises InputError 415 for a body of another type than JSON, and 400 for one without name and
    path or with a path elsewhere.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != JSON_TYPE:
        raise InputError(
            415, f"Content-Type '{media_type[:SHOWN]}' is not taken; send {JSON_TYPE}: {EXPECTED}"
        )
    try:
        document = read_json(body, MOST_VALUES)
    except ValueError as error:
        raise InputError(400, f"the body is not JSON ({str(error)[:100]}); {EXPECTED}") from error
    fields = document if isinstance(document, dict) else {}
    more = sorted(set(fields) - {"model_name", "url"})
    if more:
        raise InputError(400, f"the JSON has {more[0][:SHOWN]!r}, which is not taken; {EXPECTED}")
    name = fields.get("model_name")
    url = fields.get("url")
    if not isinstance(name, str) or not isinstance(url, str) or not name or not url:
        raise InputError(400, f"the JSON lacks model_name or url; {EXPECTED}")
    # Clients take "." and ".." out of an address: such a model could not be unloaded.
    if "/" in name or not name.isprintable() or name in (".", ".."):
        raise InputError(
            400,
            f"the model's name {name[:SHOWN]!r} holds a slash or what cannot be printed, or is a "
            f"step in a path; {EXPECTED}",
        )
    check_place(url, models_folder)
    return LoadRequest(name, url)


def check_place(url: str, models_folder: Path) -> None:
    """Raise InputError 400 unless a path lies below a folder, whatever links are on its way.

    The sentence is the same whether or not there is anything at the path.
    """
    inside = False
    # no path that SageMaker makes holds what cannot be printed, such as NUL
    if url.startswith("/") and url.isprintable():
        place = Path(os.path.realpath(url))
        inside = Path(os.path.realpath(models_folder)) in place.parents
    if not inside:
        raise InputError(
            400, f"url is {url[:SHOWN]!r}; send the path of a model below '{models_folder}'"
        )
