"""A recipe's section `prepare`: the options of `python -m prepare`, one field each."""

from dataclasses import dataclass, fields

from recipes.sections import fill, mapping


@dataclass(frozen=True)
class Preparation:
    """Options by their names there; prepare has its own default for one that is not given."""

    split: tuple[str, ...] = ()
    seed: int | None = None
    workers: int | None = None
    on_bad: str = ""
    s3_uri: str = ""

    def options(self) -> list[str]:
        """The options for the command line, such as `--split=0.7,0.1,0.2`."""
        words = []
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value is None or value in ("", ()):
                continue
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            words.append(f"--{entry.name.replace('_', '-')}={text}")
        return words


def read_preparation(section: object) -> Preparation:
    """The options from YAML, `on-bad` or `on_bad` alike. RecipeError for an unknown one."""
    given = mapping(section, "prepare")
    return fill(
        Preparation,
        {str(name).replace("-", "_"): value for name, value in given.items()},
        "prepare",
    )
