"""The labels in one row of a list."""

import re
from itertools import chain

from artifact.folders.class_names import class_name
from artifact.folders.file_kinds import kind_of_folder
from prepare.label_columns import BOXES, LISTS, METADATA, Columns, kind_of_labels
from prepare.label_lists import ListError, Row, as_text

LONGEST_CLASS = 200  # bytes; it becomes the name of a folder
TRUE = ("1", "1.0", "true")


def labels_in(row: Row, columns: Columns) -> list[str] | ListError:
    """The classes of a row's photo, at least one."""
    if columns.one_hot:
        found = [name for name in columns.labels if as_text(row.get(name, "")).lower() in TRUE]
    else:
        there = [name for name in columns.labels if name in row or f"{name}{METADATA}" in row]
        if columns.latest:
            there = there[-1:]
        failed = next(filter(None, (_ground_truth_failure(row, name) for name in there)), "")
        if failed:
            return ListError(failed)
        found = list(chain.from_iterable(_named(row, name) for name in there))
        if any(text.startswith("{") for text in found):
            return ListError("its label is a JSON object, not a name")
    classes = list(dict.fromkeys(class_name(label) for label in found))
    classes = [label for label in classes if label]
    if not classes:
        return ListError("it has no label")
    for label in classes:
        refusal = _refusal(label)
        if refusal:
            return ListError(refusal)
    return classes


def _ground_truth_failure(row: Row, name: str) -> str:
    """Why Ground Truth has no label for a row; "" where it has."""
    metadata = row.get(f"{name}{METADATA}")
    if isinstance(metadata, dict) and metadata.get("failure-reason"):
        return f"its labelling failed ({metadata['failure-reason']})"
    kind = kind_of_labels(row, name)
    if kind and "image-classification" not in kind:
        return BOXES.format(kind=f"'{kind}'")
    return ""


def _named(row: Row, name: str) -> list[str]:
    """The labels by their names, where the metadata has them."""
    value = row.get(name)
    metadata = row.get(f"{name}{METADATA}")
    names: dict[str, str] = {}
    if isinstance(metadata, dict):
        if "class-name" in metadata and not isinstance(value, list):
            return [as_text(metadata["class-name"])]
        class_map = metadata.get("class-map")
        names = class_map if isinstance(class_map, dict) else {}
    values = value if isinstance(value, list) else _divided(value, name)
    return [as_text(names.get(as_text(one), one)) for one in values]


def _divided(value: object, name: str) -> list[object]:
    """The labels in one cell: `a|b` and `a;b`, and in a column of lists `a, b`, too."""
    if value is None:
        return []
    text = as_text(value)
    if text.startswith("[") and text.endswith("]"):  # a list, as Python or JSON writes it
        return [one.strip(" '\"") for one in text[1:-1].split(",")]
    if re.search(r"[|;]", text):
        return list(re.split(r"[|;]", text))
    if name.lower() in LISTS and "," in text:
        return list(text.split(","))
    if name.lower() == "tags":
        return list(text.split())
    return [text]


def _refusal(label: str) -> str:
    """Why a label cannot be a class; "" where it can."""
    if "/" in label or "\0" in label or label.startswith("."):
        return f"its label '{label[:80]}' cannot be the name of a folder"
    if kind_of_folder(label):
        return f"its label '{label}' is the name of a system's folder, which trainings pass by"
    if len(label.encode("utf-8", "replace")) > LONGEST_CLASS:
        return f"its label '{label[:40]}…' has more than {LONGEST_CLASS} bytes"
    return ""
