"""The page of model.json, from the dataclasses that read and write it."""

import dataclasses
import inspect
import re
from typing import Any

from artifact.model import Description
from artifact.photos.preprocessing import Preprocessing
from reference.markdown import code, prose, shown, table
from reference.settings import default_of

FIELD = re.compile(r"\b([a-z_ ]+?): ")
HEADS = ("field", "where it is left out", "what it holds")


def model_json() -> str:
    """Each field of model.json and of its preprocessing."""
    return f"""# model.json

`model.json` describes an artifact, the content of `/opt/ml/model`. It is an object with these
fields. A reader refuses a field that it does not know.

{table(HEADS, _rows(Description))}

## `preprocessing`

{table(HEADS, _rows(Preprocessing))}
"""


def _rows(form: type) -> list[tuple[str, str, str]]:
    texts = texts_of(form)
    return [
        (code(entry.name), _left_out(entry), prose(texts[entry.name]))
        for entry in dataclasses.fields(form)
    ]


def _left_out(entry: dataclasses.Field[Any]) -> str:
    default = default_of(entry)
    if default is dataclasses.MISSING:
        return "an error"
    return shown(default) or "empty"


def texts_of(form: type) -> dict[str, str]:
    """What a class's docstring says of each field: `name: text.` or `name and name: text.`"""
    names = [entry.name for entry in dataclasses.fields(form)]
    text = " ".join((inspect.getdoc(form) or "").split())
    marks = [found for found in FIELD.finditer(text) if found[1].split()[-1] in names]
    texts = {}
    for place, mark in enumerate(marks):
        end = marks[place + 1].start() if place + 1 < len(marks) else len(text)
        words = text[mark.end() : end].strip()
        for name in mark[1].split(" and "):
            texts[name.strip()] = words
    return texts
