"""The profiler's settings: from hyperparameters, and from SageMaker's profilerconfig.json."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.value_checks import window
from train.job import Job, JobError

INTERVALS_MS = (100, 200, 500, 1000, 5000, 60000)  # that SageMaker allows


@dataclass(frozen=True)
class ProfileSettings:
    """The folder of a profile and its intervals."""

    folder: Path
    interval_ms: int = 500  # from one measurement of the machine to the next
    rotate_bytes: int = 10 * 1024 * 1024  # a file's size before a new one is begun
    rotate_s: int = 60  # a file's age before a new one is begun
    node: str = "algo-1"
    rank: int = 0
    steps: tuple[int, int] | None = None  # first and last of torch.profiler's trace, from 0


def read_settings(
    job: Job, folder: Path, asked: bool, steps: Sequence[int] = (), rank: int = 0
) -> ProfileSettings | None:
    """The settings of a job; None when neither its hyperparameters nor SageMaker ask for a profile.

    asked, steps: the hyperparameters profile and profile_steps; steps ask, too. profilerconfig.json
    asks when it holds ProfilingParameters and is not disabled; interval, rotation and folder are
    then its own. folder: where the file names none. JobError for a value that cannot be used.
    """
    traced = window(steps)
    config = job.config("profilerconfig.json")
    parameters = config.get("ProfilingParameters") or {}
    if config.get("DisableProfiler"):
        config = {}
        parameters = {}
    if not (asked or steps or parameters):
        return None
    interval_ms = _number(config, "ProfilingIntervalInMilliseconds", ProfileSettings.interval_ms)
    if interval_ms not in INTERVALS_MS:
        allowed = ", ".join(map(str, INTERVALS_MS))
        raise JobError(
            "profilerconfig.json: ProfilingIntervalInMilliseconds must be one of "
            f"{allowed}; found {interval_ms}"
        )
    if parameters.get("LocalPath"):
        folder = job.path(parameters["LocalPath"])
    host = str(job.config("resourceconfig.json").get("current_host") or ProfileSettings.node)
    return ProfileSettings(
        folder,
        interval_ms,
        _number(parameters, "RotateMaxFileSizeInBytes", ProfileSettings.rotate_bytes),
        _number(parameters, "RotateFileCloseIntervalInSeconds", ProfileSettings.rotate_s),
        re.sub("[^A-Za-z0-9-]+", "-", host),  # "_" and "." separate the parts of file names
        rank,
        traced,
    )


def _number(values: Mapping[str, object], name: str, default: int) -> int:
    given = values.get(name) or default
    try:
        number = int(float(str(given)))
    except (ValueError, OverflowError):
        number = 0
    if number < 1:
        sentence = f"{name} must be a whole number above 0; found '{given}'"
        raise JobError(f"profilerconfig.json: {sentence}")
    return number
