"""A recipe's section `prepare`: the photos, and the options of `python -m prepare`."""

from dataclasses import Field, dataclass, fields
from typing import Any

from recipes.sections import fill, mapping


@dataclass(frozen=True)
class Preparation:
    """Options by their names there; prepare has its own default for one that is not given.

    photos: the folder of the labelled photos, relative to the recipe; of `slipway` alone.
    """

    photos: str = ""
    split: tuple[str, ...] = ()
    seed: int | None = None
    workers: int | None = None
    on_bad: str = ""
    s3_uri: str = ""

    def options(self) -> list[str]:
        """The options for the command line, such as `--split=0.7,0.1,0.2`."""
        words = []
        for entry in options_of_prepare():
            value = getattr(self, entry.name)
            if value is None or value in ("", ()):
                continue
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            words.append(f"--{entry.name.replace('_', '-')}={text}")
        return words


def options_of_prepare() -> list[Field[Any]]:
    """The fields that are options of `python -m prepare`."""
    return [entry for entry in fields(Preparation) if entry.name != "photos"]


def read_preparation(section: object) -> Preparation:
    """The options from YAML, `on-bad` or `on_bad` alike. RecipeError for an unknown one."""
    given = mapping(section, "prepare")
    return fill(
        Preparation,
        {str(name).replace("-", "_"): value for name, value in given.items()},
        "prepare",
    )
