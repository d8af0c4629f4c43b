"""A recipe's section `prepare`: the photos, and the options of `python -m prepare`."""

from dataclasses import Field, dataclass, field, fields
from typing import Any

from recipes.sections import fill, mapping


def _option(default: object, sets: str) -> Any:
    # Any, as dataclasses.field has it: the field gets its own type in the class.
    return field(default=default, metadata={"sets": sets})


@dataclass(frozen=True)
class Preparation:
    """Options by their names there; prepare has its own default for one that is not given."""

    photos: str = _option(
        "", "folder of the labelled photos, relative to the recipe; `slipway` alone reads it"
    )
    split: tuple[str, ...] = _option(
        (), "shares of train, validation and test, such as `0.7,0.1,0.2`"
    )
    seed: int | None = _option(None, "seed of the split")
    workers: int | None = _option(None, "processes that decode; one per core where not given")
    on_bad: str = _option("", "`skip` leaves broken photos out and lists them; `fail` ends")
    s3_uri: str = _option("", "prefix of each path in the manifests, such as `s3://bucket/prefix`")

    labels: str = _option(
        "", "CSV or JSON lines with a photo and its labels in each row, where no folders say them"
    )
    groups: str = _option(
        "",
        "a column of `labels`, or a regular expression of paths; photos that have the same there "
        "stay on one side of the split",
    )
    keep_split: str = _option("", "a `manifest.csv` whose photos stay on their side of the split")

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
