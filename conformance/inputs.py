"""The inputs of a check, read from files: the job, the sample, the known faults.

Where the caller gives none, drawn photos of three colours stand in.
"""

import io
import json
import re
from pathlib import Path

import numpy as np
from PIL import Image

from conformance.clauses import CLAUSES
from conformance.jobs import Job
from conformance.server import Sample
from runtime.errors import RunError

COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 40, 40)}
COUNTS = {"train": 12, "validation": 3, "test": 3}  # photos of each colour
HEIGHT = 48
WIDTH = 60
NOISE = 25  # standard deviation, of 255
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
    """A job from a JSON file. RunError where the file cannot be used.

    Each of PARTS is an object of names and texts. Folders of channels are relative to the file.
    Without channels, photos are drawn into `work`.
    """
    parts: dict[str, dict[str, str]] = {}
    channels: dict[str, Path] = {}
    if path:
        parts = _job_parts(path)
        _check_expressions(path, parts.get("metrics", {}))
        channels = _channels(path, parts.get("channels", {}))
    return Job(
        channels or draw_channels(work / "photos"),
        hyperparameters=parts.get("hyperparameters", {}),
        long=parts.get("long", {}),
        metrics=parts.get("metrics", {}),
        environment=parts.get("environment", {}),
    )


def _job_parts(path: Path) -> dict[str, dict[str, str]]:
    found = _read_json("--job", path)
    error = RunError(
        f"--job '{path}' must hold an object with any of {', '.join(PARTS)}, each an object of "
        "names and texts"
    )
    if not isinstance(found, dict):
        raise error
    for name, part in found.items():
        if name not in PARTS or not isinstance(part, dict):
            raise error
        if not all(isinstance(text, str) for text in part.values()):
            raise error
    return found


def _check_expressions(path: Path, metrics: dict[str, str]) -> None:
    for name, regex in metrics.items():
        try:
            re.compile(regex)
        except re.error as error:
            raise RunError(
                f"--job '{path}': the expression of metric {name} is not valid: {error}"
            ) from error


def _channels(path: Path, folders: dict[str, str]) -> dict[str, Path]:
    found = {name: (path.parent / folder).absolute() for name, folder in folders.items()}
    for name, folder in found.items():
        if not folder.is_dir():
            raise RunError(f"--job '{path}': channel {name} is not a folder: '{folder}'")
    return found


def read_known(path: Path | None) -> dict[str, str]:
    """Reasons by names of clauses, from a JSON file. RunError where it cannot be used."""
    if path is None:
        return {}
    known = _read_json("--known", path)
    error = RunError(f"--known '{path}' must hold an object of clauses' names and reasons")
    if not isinstance(known, dict):
        raise error
    for name, reason in known.items():
        if not isinstance(reason, str) or not reason:
            raise error
        if name not in CLAUSES:
            raise RunError(
                f"--known '{path}' names '{name}', which is not a clause; --list shows them"
            )
    return known


def _read_json(option: str, path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{option} '{path}' is not readable JSON ({error})") from error


def read_sample(path: Path | None, content_type: str, model: Path | None) -> Sample:
    """The sample of a file, or a drawn photo. RunError where it cannot be used."""
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
        raise RunError(f"--sample '{path}' has no known type; give --content-type")
    return Sample(body, kind, model)


def draw_channels(folder: Path) -> dict[str, Path]:
    """Channels train, validation and test of noisy photos, with a folder for each colour."""
    for channel, count in COUNTS.items():
        for name, colour in COLOURS.items():
            photos = folder / channel / name
            photos.mkdir(parents=True)
            for number in range(count):
                # the channel's length makes the channels' photos differ
                seed = len(channel) * 100 + number
                _photo(colour, seed).save(photos / f"{name}-{number}.jpg")
    return {channel: folder / channel for channel in COUNTS}


def _photo(colour: tuple[int, int, int], seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).normal(0, NOISE, (HEIGHT, WIDTH, 3))
    pixels = np.array(colour) + noise  # [height, width, RGB], 0 to 255
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
