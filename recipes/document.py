"""A recipe's YAML as a mapping, refused where YAML itself would drop or misread something."""

from pathlib import Path
from typing import Any

import yaml

from recipes.errors import RecipeError
from recipes.suggestion import hint

# PyYAML's own words for a tab in front of a name
TAB = "found character '\\t' that cannot start any token"
# What PyYAML's constructors let through for a value such as 2026-13-45 or `!!bool maybe`.
BAD_VALUES = (ValueError, KeyError, TypeError, AttributeError)


class UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys and drops the other in silence; this one refuses."""

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        # Here, before merge keys (<<) are resolved: a key that overrides a merged one is not
        # a duplicate.
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            if key.value in lines:
                first = lines[key.value]
                places = f"lines {first} and {line}" if first != line else f"line {line}"
                raise RecipeError(
                    f"'{key.value}' stands twice in one mapping, in {places}; keep one"
                )
            lines[key.value] = line
        return node


def _beside(path: Path) -> str:
    """The file beside a missing one whose name is the nearest, as the end of a sentence."""
    try:
        files = [file for file in path.parent.iterdir() if file.is_file()]
    except OSError:
        return ""
    return hint(path.name, [file.name for file in files])


def read_document(path: Path) -> dict[str, object]:
    """The file's YAML as it stands. RecipeError where it is not readable, not YAML, or empty."""
    try:
        return parse_document(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        beside = _beside(path) if isinstance(error, FileNotFoundError) else ""
        raise RecipeError(
            f"the recipe '{path}' cannot be read: {error.strerror}{beside}"
        ) from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"the recipe '{path}' is not YAML: it is not UTF-8 text") from error
    except RecipeError as error:
        raise RecipeError(f"the recipe '{path}': {error}") from error


def parse_document(text: str) -> dict[str, object]:
    """A mapping from YAML, or from JSON, which is YAML. RecipeError for anything else."""
    try:
        document = yaml.load(text, UniqueKeyLoader)  # a SafeLoader: it makes plain values only
    except yaml.YAMLError as error:
        raise RecipeError(f"it is not YAML: {_problem(error)}") from error
    except RecipeError:
        raise
    except BAD_VALUES as error:
        raise RecipeError(f"it is not YAML: a value cannot be read ({error})") from error
    except RecursionError as error:
        raise RecipeError("it is nested too deeply to be a recipe") from error
    if document is None:
        raise RecipeError("it is empty; a recipe begins with `name: …`")
    if not isinstance(document, dict):
        raise RecipeError(
            f"it holds a {type(document).__name__}; expected names with values, such as `name: …`"
        )
    return document


def _problem(error: yaml.YAMLError) -> str:
    """PyYAML's message in one line, with the place."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None)
    if mark is None or not problem:
        return " ".join(str(error).split())
    place = f"(line {mark.line + 1}, column {mark.column + 1})"
    if problem == TAB:
        return f"a tab indents a line; use blanks {place}"
    return f"{problem} {place}"
