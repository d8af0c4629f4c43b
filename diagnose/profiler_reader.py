"""A profile from disk: of train/recording/profile.py, or of SageMaker's profiler, from S3.

    system/incremental/<YYYYMMDDHH>/<second>.<node>.json    metrics of the machine, JSON lines
    framework/pevents/<YYYYMMDDHH>/*.json                    the training's spans, Chrome traces
    framework/*.json.tmp                                     the same, of a run that goes on or died
    framework/pytorch/detailed_profiling/*.operators.json    times of operators in traced steps

With `train` it shares no code but this form. Files are read line by line: a line that is not a
whole event is counted, and left out.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from artifact.text.json_text import read_json
from diagnose.profiler_data import Operator, Profile, ProfileError, Series, Spans
from diagnose.profiler_trace import LATEST_S, SpanKey, SpanReader, SpanRow

PLACES = (
    "",
    "profiler",
    "profiler-output",
    "data/profiler",
    "output/profiler",
    "output/data/profiler",
    "output/profiler-output",
)
LARGEST_VALUE = 1e18  # bytes per second; a larger value was damaged

SeriesKey = tuple[str, str, str, str]  # node, type, name, dimension


@dataclass
class _Reading:
    """What accumulates while files are read."""

    series: dict[SeriesKey, list[tuple[float, float]]] = field(default_factory=dict)
    spans: dict[SpanKey, list[SpanRow]] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    broken: Counter[str] = field(default_factory=Counter)  # lines by file name
    unreadable: list[str] = field(default_factory=list)  # sentences

    def notes(self) -> list[str]:
        """Sentences on lines and files that could not be read."""
        notes = list(self.unreadable)
        if self.broken:
            first = next(iter(self.broken))
            notes.insert(
                0,
                f"{self.broken.total()} broken lines were left out, "
                f"of {len(self.broken)} files such as '{first}'",
            )
        return notes


def find_profile(output: Path) -> Path:
    """The folder that holds a profile, below a job's output or a downloaded prefix.

    ProfileError when there is none.
    """
    output = Path(output)
    if not output.is_dir():
        raise ProfileError(f"the folder '{output}' does not exist")
    for place in PLACES:
        folder = output / place
        if (folder / "system").is_dir() or (folder / "framework").is_dir():
            return folder
    raise ProfileError(
        f"'{output}' holds no profile: looked for system/ and framework/ in it and in "
        f"{', '.join(PLACES[1:])}; was the job run with profile=true?"
    )


def read_profile(output: Path) -> Profile:
    """The profile below a job's output. ProfileError when there is none, or none is readable."""
    folder = find_profile(output)
    reading = _read_folder(folder)
    series_keys = sorted(reading.series, key=_natural)
    series = tuple(_series(key, reading.series[key]) for key in series_keys)
    spans = tuple(_spans(key, reading.spans[key]) for key in sorted(reading.spans))
    notes = reading.notes()
    if not series and not spans:
        because = f" ({'; '.join(notes)})" if notes else ""
        raise ProfileError(
            f"'{folder}' holds no readable metric and no readable span{because}; "
            "did the job end before its first measurement?"
        )
    return Profile(
        folder=folder,
        series=series,
        spans=spans,
        operators=tuple(reading.operators),
        framework=(folder / "framework").is_dir(),
        notes=tuple(notes),
    )


def _read_folder(folder: Path) -> _Reading:
    reading = _Reading()
    for path in sorted((folder / "system").rglob("*.json")):
        _read(path, reading, lambda event: _add_metric(event, reading))
    framework = folder / "framework"
    traces = [*framework.glob("*.json.tmp"), *(framework / "pevents").rglob("*.json")]
    for path in sorted(traces):
        _read(path, reading, SpanReader(path.name, reading.spans).add)
    for path in sorted(framework.rglob("*.operators.json")):
        _read_operators(path, reading)
    return reading


def _read(path: Path, reading: _Reading, add: Callable[[dict[str, Any]], bool]) -> None:
    """Give each line's object to `add`; count the lines that are no such object."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                for event in _events(line.strip().rstrip(",")):
                    if not isinstance(event, dict) or not add(event):
                        reading.broken[path.name] += 1
    except OSError as error:
        reading.unreadable.append(f"'{path}' could not be read: {error.strerror}")


def _events(line: str) -> Iterator[object]:
    """The line's event; all of them where a whole list stands on one line; None for other text."""
    if line in ("", "[", "]"):
        return
    # the first and the last line of a list may hold its bracket and an event
    for text in (line, line.removeprefix("[").removesuffix("]").rstrip(",")):
        try:
            value = read_json(text)
        except ValueError:
            continue
        if isinstance(value, list):
            yield from value
        else:
            yield value
        return
    yield None


def _add_metric(event: dict[str, Any], reading: _Reading) -> bool:
    """Keep a metric; False where it is none, or its numbers were damaged."""
    try:
        time = float(event["Timestamp"])
        value = float(event["Value"])
        key = (
            str(event["NodeId"]),
            str(event["Type"]).lower(),
            str(event.get("Name") or ""),
            str(event.get("Dimension") or ""),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return False
    if not 0 <= time <= LATEST_S or not abs(value) < LARGEST_VALUE:
        return False
    reading.series.setdefault(key, []).append((time, value))
    return True


def _read_operators(path: Path, reading: _Reading) -> None:
    try:
        rows = read_json(path.read_text(encoding="utf-8"))
        reading.operators += [_operator(row) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reading.unreadable.append(f"'{path}' could not be read: {error}")


def _operator(row: dict[str, Any]) -> Operator:
    return {
        "name": str(row["name"]),
        "count": int(row["count"]),
        "cpu_us": float(row["cpu_us"]),
        "gpu_us": float(row["gpu_us"]),
    }


def _series(key: SeriesKey, rows: list[tuple[float, float]]) -> Series:
    times, values = np.array(rows, np.float64).T
    order = np.argsort(times, kind="stable")
    return Series(*key, times=times[order], values=values[order])


def _spans(key: SpanKey, rows: list[SpanRow]) -> Spans:
    starts, durations, steps, pids = np.array(rows, np.float64).T
    order = np.argsort(starts, kind="stable")
    return Spans(
        *key,
        starts=starts[order],
        durations=durations[order],
        steps=steps[order].astype(np.int64),
        pids=pids[order].astype(np.int64),
    )


def _natural(key: SeriesKey) -> list[list[tuple[int, str]]]:
    """Sorts gpu10 behind gpu9."""
    return [_text_and_numbers(text) for text in key]


def _text_and_numbers(text: str) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", text)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
