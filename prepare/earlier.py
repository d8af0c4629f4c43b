"""Where photos lay in an earlier preparation, so that a set can grow and its test photos stay."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from artifact.text import people_csv
from artifact.text.json_text import MOST_IN_LISTS, read_json
from prepare.convert import Photo
from prepare.options import Options
from prepare.scan import SPLITS, PrepareError, Source
from prepare.state import PreparationState

NEEDED_COLUMNS = ("split", "source", "sha256")


@dataclass
class Places:
    """The split of each photo of an earlier run, by the source's path and by the output's hash."""

    by_path: dict[str, str] = field(default_factory=dict)
    by_hash: dict[str, str] = field(default_factory=dict)

    def add(self, path: str, sha256: str, split: str) -> None:
        """Note one photo. The first place of equal photos counts."""
        self.by_path.setdefault(path, split)
        self.by_hash.setdefault(sha256, split)

    def of(self, photos: Mapping[Source, Photo]) -> dict[Source, str]:
        """The split of each photo that was placed, by its hash; of a changed one, by its path.

        The hash counts first: where names were dealt anew, a test photo stays a test photo.
        """
        placed = {}
        for source, photo in photos.items():
            split = self.by_hash.get(photo.sha256) or self.by_path.get(source.path)
            if split:
                placed[source] = split
        return placed


def earlier_places(options: Options, state: PreparationState) -> Places:
    """What --keep-split names, else what the destination holds by the same options of the split.

    PrepareError for a manifest that cannot be read.
    """
    if options.keep_split is not None:
        return _read_manifest(options.keep_split)
    places = Places()
    if options.same_split(state.options):
        for path, record in state.photos.items():
            split = record["output"].partition("/")[0]
            places.add(path, record["photo"]["sha256"], split)
    return places


def _read_manifest(path: Path) -> Places:
    places = Places()
    try:
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
        true_names = _true_names(path)
        rows = list(csv.DictReader(text.splitlines(keepends=True), strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise PrepareError(f"--keep-split: '{path}' cannot be read: {error}") from error
    _check_columns(path, rows)
    for row in rows:
        if row["split"] not in SPLITS:
            raise PrepareError(
                f"--keep-split: '{path}' has the split '{row['split']}'; "
                f"expected {', '.join(SPLITS)}"
            )
        source = true_names.get(row["source"], row["source"])
        places.add(source, row["sha256"], row["split"])
    return places


def _true_names(path: Path) -> dict[str, str]:
    """The names that the manifest shows with an apostrophe, from the file beside it."""
    names = path.with_name(people_csv.names_file(path.name))
    if not names.is_file():
        return {}
    found: dict[str, str] = read_json(names.read_text(), MOST_IN_LISTS)
    return found


def _check_columns(path: Path, rows: list[dict[str, str]]) -> None:
    found: Iterable[str] = rows[0] if rows else ()
    lacking = [name for name in NEEDED_COLUMNS if name not in found]
    if lacking:
        raise PrepareError(
            f"--keep-split: '{path}' has no column {', '.join(lacking)}; "
            "give the manifest.csv of an earlier preparation"
        )
