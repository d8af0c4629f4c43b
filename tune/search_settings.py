"""The settings of one run of the tuner, kept in its output folder.

Its workers read them there, and so does the next run of the same command.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from artifact.folders.channels import CHANNEL_NAMES
from artifact.model import write_atomically
from artifact.text.json_text import read_json
from recipes.recipe import Recipe, parse_recipe
from tune.errors import SearchError
from tune.results import TuningJob, read_results

FORMAT_VERSION = 1
SETTINGS_FILE = "search.json"
RESULTS_FILE = "tuning.json"
BEST_FILE = "best.json"
BEST_RECIPE_FILE = "best.yaml"
PAGE_FILE = "tuning.html"
CSV_FILE = "tuning.csv"
PHOTOS = "photos"  # among the settings: the fingerprint of the photos


@dataclass(frozen=True)
class SearchSettings:
    """What to search, where, and how.

    document: the recipe's YAML; changed: static hyperparameters with other values; channels: name
    to folder; command: of the engine `command`; parents: files of other searches' results;
    variables: names of those of this environment that containers get; storage: a database's URL,
    None for a file in `out`;
    own_values_first: the first trial must be able to take the recipe's own values; recipe_file: the
    file that errors about the recipe name.
    """

    out: Path
    document: dict[str, object]
    changed: dict[str, str]
    channels: dict[str, Path]
    parents: tuple[Path, ...] = ()
    engine: str = "in-process"
    image: str = "slipway-train"
    command: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    storage: str | None = None
    keep: bool = False
    own_values_first: bool = False
    recipe_file: Path | None = None

    def recipe(self) -> Recipe:
        """The recipe as it is searched. RecipeError when it is wrong."""
        return parse_recipe(self.document, self.changed, self.recipe_file)

    def known_parents(self) -> dict[str, TuningJob]:
        """Tuning jobs of other searches, by name. ResultsError or OSError for a bad file."""
        known: dict[str, TuningJob] = {}
        for path in self.parents:
            known |= {job.name: job for job in read_results(path)}
        return known

    def check_photos_there(self) -> None:
        """SearchError when a channel is gone as the search runs: each trial would fail for that."""
        folder = first_gone(self.channels)
        if folder:
            raise SearchError(
                f"the photos in '{folder}' are gone; once they are back, the same command goes on"
            )

    def tree(self, job: str, trial: str) -> Path:
        """The folder of a trial's training job."""
        return self.out / "trials" / job / trial

    def write(self) -> None:
        """Keep them. SearchError when the folder holds a search on other photos."""
        path = self.out / SETTINGS_FILE
        ours = {name: str(folder) for name, folder in self.channels.items()}
        theirs = ours
        if path.is_file():
            theirs = _load(path)["channels"]
        if theirs != ours:
            raise SearchError(
                f"'{self.out}' holds a search on other photos ({', '.join(theirs.values())}; "
                f"now {', '.join(ours.values())}); name another --out, or remove it"
            )
        kept = asdict(self)
        del kept["storage"]  # it may hold a password
        del kept["recipe_file"]  # only for errors of this run
        document = {
            "format_version": FORMAT_VERSION,
            **kept,
            PHOTOS: fingerprint(self.channels),
        }
        text = json.dumps(document, default=str, indent=1) + "\n"  # str: of paths
        write_atomically(path, text.encode())


def read_settings(out: Path, storage: str | None = None) -> SearchSettings:
    """The settings that a run left in its folder, on a storage.

    SearchError without settings of this version.
    """
    values = _load(out / SETTINGS_FILE)
    del values["format_version"]
    values.pop(PHOTOS, None)
    values["out"] = Path(values["out"])
    folders = values["channels"]
    values["channels"] = {name: Path(folders[name]) for name in folders}
    values["parents"] = tuple(map(Path, values["parents"]))
    for name in ("variables", "command"):
        values[name] = tuple(values[name])
    return SearchSettings(**values, storage=storage)


def fingerprint(channels: dict[str, Path]) -> str:
    """A sum over the names and sizes of all files of the channels: it differs for other photos."""
    files = []
    for name, folder in channels.items():
        for path in folder.rglob("*"):
            if path.is_file():
                files.append((name, str(path.relative_to(folder)), path.stat().st_size))
    listed = json.dumps(sorted(files))
    return hashlib.sha256(listed.encode()).hexdigest()


def fingerprint_beside(results: Path) -> str:
    """The fingerprint of the search that wrote a file of results.

    Empty where its settings do not lie beside it.
    """
    path = results.parent / SETTINGS_FILE
    if not path.is_file():
        return ""
    return str(_load(path).get(PHOTOS, ""))


def _load(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = read_json(path.read_bytes())
        found = values.get("format_version")
    except (ValueError, AttributeError) as error:  # not JSON, or a list
        raise SearchError(
            f"'{path}' is not a search's settings ({error}); name another --out, or remove it"
        ) from error
    if found != FORMAT_VERSION:
        raise SearchError(
            f"'{path}' has format_version {found!r}, this is {FORMAT_VERSION}; "
            "name another --out, or remove it"
        )
    return values


def find_channels(data: Path) -> dict[str, Path]:
    """A prepared folder's channels, of which train holds classes; empty for any other folder."""
    folders = _folders(data)
    for name in CHANNEL_NAMES["train"]:
        if name in folders and _folders(folders[name]):
            return folders
    return {}


def first_gone(channels: dict[str, Path]) -> Path | None:
    """The first channel whose folder is not there; None where all are."""
    for folder in channels.values():
        if not folder.is_dir():
            return folder
    return None


def _folders(parent: Path) -> dict[str, Path]:
    """The folders in a folder by their names, sorted."""
    paths = sorted(parent.iterdir())
    return {path.name: path.absolute() for path in paths if path.is_dir()}
