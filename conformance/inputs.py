"""What a job trains on and a server is asked, where a caller gives nothing: drawn photos; and the file that describes a job."""

import io
import json
import re
from pathlib import Path

import numpy as np
from PIL import Image

from conformance.clauses import CLAUSES
from conformance.servings import Sample
from conformance.trainings import Job
from runtime.errors import RunError

COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 40, 40)}
COUNTS = {"train": 12, "validation": 3, "test": 3}  # photos a class
TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".csv": "text/csv",
    ".json": "application/json",
    ".txt": "text/plain",
}
PARTS = ("hyperparameters", "long", "metrics", "environment", "channels")


def read_job(path: Path | None, work: Path) -> Job:
    """A job from a JSON file with hyperparameters, long, metrics, environment (names to texts) and channels (names to folders, from the file's own).

    Without channels, photos of three colours are drawn. RunError for a file that cannot be used.
    """
    given: dict = {}
    if path:
        try:
            given = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"--job '{path}' is not readable JSON ({error})") from error
        if not isinstance(given, dict) or not all(
            name in PARTS
            and isinstance(part, dict)
            and all(isinstance(text, str) for text in part.values())
            for name, part in given.items()
        ):
            raise RunError(
                f"--job '{path}' must hold an object with any of {', '.join(PARTS)}, each an object of names and texts"
            )
    for name, regex in given.get("metrics", {}).items():
        try:
            re.compile(regex)
        except re.error as error:
            raise RunError(
                f"--job '{path}': the expression of metric {name} is not valid: {error}"
            ) from error
    channels = {
        name: (path.parent / folder).absolute()
        for name, folder in given.pop("channels", {}).items()
    }
    for name, folder in channels.items():
        if not folder.is_dir():
            raise RunError(f"--job '{path}': channel {name} is no folder: '{folder}'")
    return Job(channels or draw(work / "photos"), **given)


def read_known(path: Path | None) -> dict[str, str]:
    """Reasons by names of clauses, from a JSON file. RunError for a file that cannot be used."""
    if path is None:
        return {}
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"--known '{path}' is not readable JSON ({error})") from error
    if not isinstance(known, dict) or not all(
        isinstance(reason, str) and reason for reason in known.values()
    ):
        raise RunError(f"--known '{path}' must hold an object of clauses' names and reasons")
    if unknown := sorted(known.keys() - CLAUSES.keys()):
        raise RunError(
            f"--known '{path}' names '{unknown[0]}', which is no clause; --list shows them"
        )
    return known


def read_sample(path: Path | None, content_type: str, model: Path | None) -> Sample:
    """The sample's bytes, a drawn photo where none is given. RunError when it cannot be read, or its type is not known."""
    if path is None:
        stream = io.BytesIO()
        _photo(COLOURS["red"], 0).save(stream, "JPEG")
        return Sample(stream.getvalue(), content_type or "image/jpeg", model)
    try:
        body = path.read_bytes()
    except OSError as error:
        raise RunError(f"--sample '{path}' cannot be read: {error.strerror}") from error
    kind = content_type or TYPES.get(path.suffix.lower(), "")
    if not kind:
        raise RunError(f"--sample '{path}' is of no known type; give --content-type")
    return Sample(body, kind, model)


def draw(folder: Path) -> dict[str, Path]:
    """Channels train, validation and test of noisy photos, a folder a colour."""
    for channel, count in COUNTS.items():
        for name, colour in COLOURS.items():
            (folder / channel / name).mkdir(parents=True)
            for number in range(count):
                _photo(colour, len(channel) * 100 + number).save(
                    folder / channel / name / f"{name}-{number}.jpg"
                )
    return {channel: folder / channel for channel in COUNTS}


def _photo(colour: tuple[int, int, int], seed: int) -> Image.Image:
    samples = np.array(colour) + np.random.default_rng(seed).normal(0, 25, (48, 60, 3))
    return Image.fromarray(samples.clip(0, 255).astype(np.uint8))
