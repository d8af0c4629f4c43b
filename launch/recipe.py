"""A recipe from its YAML, its section `sagemaker:` checked name by name. It asks AWS nothing."""

import json
import re
import types
import typing
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

import yaml

from launch.errors import LaunchError
from recipes.sagemaker import SageMakerSettings

REPOSITORY = Path(__file__).resolve().parent.parent
KINDS = ("real-time", "serverless", "async", "multi-model")


@dataclass(frozen=True)
class Recipe:
    """A recipe: its name, hyperparameters as texts, `sagemaker:`, and the whole document for what others read of it."""

    name: str
    hyperparameters: dict[str, str]
    settings: SageMakerSettings
    path: Path
    document: dict

    @property
    def slug(self) -> str:
        """The name in what AWS takes for names: letters, digits and single hyphens, 63 at most."""
        return slug(self.name)

    @property
    def endpoint_name(self) -> str:
        return slug(self.settings.endpoint.name or self.name)


def read_recipe(path: Path) -> Recipe:
    """A recipe from its YAML. LaunchError with one sentence for what is not one."""
    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise LaunchError(f"the recipe '{path}' cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LaunchError(
            f"the recipe '{path}' is no YAML: {' '.join(str(error).split())}"
        ) from error
    if not isinstance(document, dict) or not document.get("name"):
        raise LaunchError(f"the recipe '{path}' has no name; it begins with `name: …`")
    settings = fill(SageMakerSettings, document.get("sagemaker") or {}, "sagemaker")
    if settings.endpoint.kind not in KINDS:
        raise LaunchError(
            f"sagemaker.endpoint.kind is '{settings.endpoint.kind}'; expected {', '.join(KINDS)}"
        )
    if bool(settings.subnets) != bool(settings.security_groups):
        raise LaunchError(
            "sagemaker.subnets and sagemaker.security_groups go together; one of them is missing"
        )
    values = document.get("hyperparameters") or {}
    return Recipe(
        str(document["name"]),
        {str(name): text(value) for name, value in values.items()},
        settings,
        Path(path),
        document,
    )


def read_hyperparameters(path: Path) -> dict[str, str]:
    """A training's hyperparameters from a file, as `python -m tune` writes its best. LaunchError with one sentence for what is none."""
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise LaunchError(
            f"the hyperparameters '{path}' cannot be read: {error.strerror}"
        ) from error
    except ValueError as error:
        raise LaunchError(f"the hyperparameters '{path}' are no JSON: {error}") from error
    if not isinstance(values, dict):
        raise LaunchError(
            f"'{path}' holds a {type(values).__name__}; expected an object of names and values"
        )
    return {str(name): text(value) for name, value in values.items()}


def slug(name: str, limit: int = 63) -> str:
    """A name of letters, digits and single hyphens, so long at most."""
    return (re.sub(r"[^a-zA-Z0-9]+", "-", name).strip("-") or "slipway")[:limit].strip("-")


def located(path: str) -> Path:
    """A path of a recipe: as it stands where that is there, else below the checkout, whose `out` the other programs write."""
    given = Path(path)
    return given if given.is_absolute() or given.exists() else REPOSITORY / given


def searches(recipe: Recipe) -> tuple:
    """The recipe's tuning jobs, as recipes.tuning.Tuning; LaunchError for what it refuses."""
    from recipes.ranges import SearchError
    from recipes.tuning import read_recipe as read_searches

    try:
        return read_searches(recipe.document).tuning
    except SearchError as error:
        raise LaunchError(f"the recipe '{recipe.path}': {error}") from error


def fill(form: type, values: object, where: str):
    """A dataclass from a mapping, by its fields' types. LaunchError for an unknown name or a value of another type."""
    if not isinstance(values, dict):
        raise LaunchError(f"{where} is {values!r}; expected names with values")
    known = {entry.name: entry for entry in fields(form)}
    for name in values:
        if name not in known:
            raise LaunchError(f"unknown setting '{name}' in {where}; known: {', '.join(known)}")
    hints = typing.get_type_hints(form)
    return form(
        **{name: convert(hints[name], value, f"{where}.{name}") for name, value in values.items()}
    )


def convert(kind: type, value: object, where: str):
    """A YAML value as a field's type. LaunchError where it is none."""
    if is_dataclass(kind):
        return fill(kind, value or {}, where)
    outer = typing.get_origin(kind)
    if outer is tuple:
        return tuple(text(one) for one in (value if isinstance(value, list) else [value]))
    if outer is dict:
        if not isinstance(value, dict):
            raise LaunchError(f"{where} is {value!r}; expected names with values")
        return {str(name): text(one) for name, one in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is str and isinstance(value, (int, float, types.NoneType)):
        return "" if value is None else str(value)
    if not isinstance(value, kind) or isinstance(value, bool) and kind is not bool:
        raise LaunchError(
            f"{where} is {value!r}; expected {'true or false' if kind is bool else 'a text' if kind is str else 'a number'}"
        )
    return value


def text(value: object) -> str:
    """A value as SageMaker's API has it: lists by commas, booleans in small letters."""
    if isinstance(value, (list, tuple)):
        return ",".join(text(one) for one in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
