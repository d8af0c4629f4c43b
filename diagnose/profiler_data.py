"""A profile read from disk: what train/recording/profile.py wrote, or what SageMaker's profiler did, downloaded from S3.

    system/incremental/<YYYYMMDDHH>/<second>.<node>.json    metrics of the machine, one JSON object a line
    framework/pevents/<YYYYMMDDHH>/*.json                    spans of the training, Chrome trace events
    framework/*.json.tmp                                     the same, of a run that is under way or died
    framework/pytorch/detailed_profiling/*.operators.json    what operators took of the traced steps

With `train` it shares no code but this form. Files are read line by line: a line that is no whole event is counted, and left out.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

PLACES = (
    "",
    "profiler",
    "profiler-output",
    "data/profiler",
    "output/profiler",
    "output/data/profiler",
    "output/profiler-output",
)
SNAPSHOT_S = (
    0.02  # metrics so near to each other are of one moment: SageMaker's threads wake up apart
)
STEP = "Step:ModeKeys."
LATEST_S, LONGEST_S, MOST = (
    4_102_444_800,
    30 * 86400,
    1e18,
)  # the year 2100, a training's limit, bytes a second: what is beyond was damaged


class ProfileError(ValueError):
    """A profile that cannot be judged; one sentence for the user."""


@dataclass(frozen=True)
class Series:
    """One metric over time. times: float64 [N], seconds since the epoch, rising; values: float64 [N]."""

    node: str
    type: str
    name: str
    dimension: str
    times: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Spans:
    """The spans of one name on one worker, by their start. starts and durations: float64 [N], seconds; steps: int64 [N], -1 where there is none."""

    worker: str
    phase: str
    name: str
    starts: np.ndarray
    durations: np.ndarray
    steps: np.ndarray
    pids: np.ndarray

    @property
    def ends(self) -> np.ndarray:
        return self.starts + self.durations


@dataclass(frozen=True)
class Profile:
    """All that was found. operators: dicts of name, count, cpu_us, gpu_us; framework: the training recorded spans, or was about to.

    notes: sentences on what could not be read.
    """

    folder: Path
    series: tuple[Series, ...]
    spans: tuple[Spans, ...]
    operators: tuple[dict, ...] = ()
    framework: bool = True
    notes: tuple[str, ...] = ()

    def metrics(self, dimension: str = "", type: str = "", name: str = "") -> list[Series]:
        """The series of a dimension, a type, a name, by node and name."""
        return [
            series
            for series in self.series
            if dimension in ("", series.dimension)
            and type in ("", series.type)
            and name in ("", series.name)
        ]

    def steps(self, mode: str = "") -> list[Spans]:
        """The spans of whole steps, of all modes or one (`TRAIN`, `EVAL`)."""
        return [
            spans
            for spans in self.spans
            if spans.name.startswith(STEP) and mode in ("", spans.name.removeprefix(STEP))
        ]

    def bounds(self) -> tuple[float, float]:
        """When the first was measured and the last ended, seconds since the epoch."""
        starts = [series.times[0] for series in self.series] + [
            spans.starts[0] for spans in self.spans
        ]
        return min(starts), max(
            [series.times[-1] for series in self.series]
            + [spans.ends.max() for spans in self.spans]
        )

    @property
    def nodes(self) -> list[str]:
        return sorted({series.node for series in self.series})


@dataclass
class _Reading:
    """What accumulates while files are read."""

    series: dict = field(default_factory=lambda: defaultdict(list))
    spans: dict = field(default_factory=lambda: defaultdict(list))
    operators: list = field(default_factory=list)
    broken: Counter = field(default_factory=Counter)
    unreadable: list = field(default_factory=list)


def find_profile(output: Path) -> Path:
    """The folder below a job's output, or a downloaded prefix, that holds a profile. ProfileError when there is none."""
    output = Path(output)
    if not output.is_dir():
        raise ProfileError(f"there is no folder '{output}'")
    for place in PLACES:
        folder = output / place
        if (folder / "system").is_dir() or (folder / "framework").is_dir():
            return folder
    raise ProfileError(
        f"'{output}' holds no profile: looked for system/ and framework/ in it and in {', '.join(PLACES[1:])}; "
        "was the job run with profile=true?"
    )


def read_profile(output: Path) -> Profile:
    """The profile below a job's output. ProfileError when there is none, or nothing in it can be read."""
    folder = find_profile(output)
    reading = _Reading()
    for path in sorted((folder / "system").rglob("*.json")):
        _read(path, reading, _read_metric)
    for path in sorted(
        [
            *(folder / "framework").glob("*.json.tmp"),
            *(folder / "framework" / "pevents").rglob("*.json"),
        ]
    ):
        _read(path, reading, _SpanReader(path.name))
    for path in sorted((folder / "framework").rglob("*.operators.json")):
        _read_operators(path, reading)
    series = tuple(
        _series(key, rows)
        for key, rows in sorted(reading.series.items(), key=lambda entry: _natural(entry[0]))
    )
    spans = tuple(_spans(key, rows) for key, rows in sorted(reading.spans.items()))
    if not series and not spans:
        raise ProfileError(
            f"'{folder}' holds no readable metric and no readable span{_because(reading)}; did the job end before its first measurement?"
        )
    return Profile(
        folder,
        series,
        spans,
        tuple(reading.operators),
        (folder / "framework").is_dir(),
        tuple(_notes(reading)),
    )


def _because(reading: _Reading) -> str:
    return f" ({'; '.join(_notes(reading))})" if reading.broken or reading.unreadable else ""


def _notes(reading: _Reading) -> list[str]:
    if reading.broken:
        yield f"{sum(reading.broken.values())} broken lines were left out, of {len(reading.broken)} files such as '{next(iter(reading.broken))}'"
    yield from reading.unreadable


def _read(path: Path, reading: _Reading, take) -> None:
    """Hand each line's object to `take`; what is no such object is counted."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                line = line.strip().rstrip(",")
                if line in ("", "[", "]"):
                    continue
                for event in _events(line):
                    if not isinstance(event, dict) or not take(event, reading):
                        reading.broken[path.name] += 1
    except OSError as error:
        reading.unreadable.append(f"'{path}' could not be read: {error.strerror}")


def _events(line: str) -> Iterator[object]:
    """The line's event; all of them where a whole list stands on one line; None for what is no JSON."""
    for text in (line, line.removeprefix("[").removesuffix("]").rstrip(",")):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            continue
        yield from value if isinstance(value, list) else [value]
        return
    yield None


def _read_metric(event: dict, reading: _Reading) -> bool:
    try:
        at, value = float(event["Timestamp"]), float(event["Value"])
        key = (
            str(event["NodeId"]),
            str(event["Type"]).lower(),
            str(event.get("Name") or ""),
            str(event.get("Dimension") or ""),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return False
    if not (0 <= at <= LATEST_S and abs(value) < MOST):
        return False
    reading.series[key].append((at, value))
    return True


class _SpanReader:
    """Reads one file's trace events: phases and the file's zero are told by metadata before the events."""

    def __init__(self, name: str):
        parts = name.split("_")
        node = parts[1] if parts[0].isdigit() and len(parts) > 1 else parts[0]
        self._worker = re.sub(
            r"^(\d+)-(.+)$", r"\2-\1", node
        )  # SageMaker names rank, or process, before the host
        self._zero_us, self._phases, self._open = 0.0, {}, {}

    def __call__(self, event: dict, reading: _Reading) -> bool:
        try:
            return self._take(event, reading)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError):
            return False

    def _take(self, event: dict, reading: _Reading) -> bool:
        kind, arguments = event["ph"], event.get("args") or {}
        if kind == "M":
            self._zero_us = float(arguments.get("start_time_since_epoch_in_micros", self._zero_us))
            if event["name"] == "process_name" and "name" in arguments:
                self._phases[event["pid"]] = str(arguments["name"])
            return True
        if kind == "B":
            self._open.setdefault(event["pid"], []).append(event)
            return True
        if kind == "E":
            begun = self._open[event["pid"]].pop()
            event = {**begun, "dur": event["ts"] - begun["ts"]}
            arguments = event.get("args") or {}
        elif kind != "X":
            return True  # marks of a moment say nothing about time spent
        start, duration = (self._zero_us + float(event["ts"])) / 1e6, float(event["dur"]) / 1e6
        step, pid = int(arguments.get("step_num", -1)), int(arguments.get("pid", 0))
        if not (
            0 <= start <= LATEST_S
            and 0 <= duration <= LONGEST_S
            and max(abs(step), abs(pid)) < MOST
        ):
            return False
        key = self._worker, self._phases.get(event["pid"], "Unknown"), str(event["name"])
        reading.spans[key].append((start, duration, step, pid))
        return True


def _read_operators(path: Path, reading: _Reading) -> None:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        reading.operators += [
            {
                "name": str(row["name"]),
                "count": int(row["count"]),
                "cpu_us": float(row["cpu_us"]),
                "gpu_us": float(row["gpu_us"]),
            }
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reading.unreadable.append(f"'{path}' could not be read: {error}")


def _series(key: tuple[str, str, str, str], rows: list) -> Series:
    times, values = np.array(rows, np.float64).T
    order = np.argsort(times, kind="stable")
    return Series(*key, times[order], values[order])


def _spans(key: tuple[str, str, str], rows: list) -> Spans:
    starts, durations, steps, pids = np.array(rows, np.float64).T
    order = np.argsort(starts, kind="stable")
    return Spans(
        *key,
        starts[order],
        durations[order],
        steps[order].astype(np.int64),
        pids[order].astype(np.int64),
    )


def _natural(key: tuple) -> list:
    """Sorts gpu10 behind gpu9."""
    return [
        [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]
        for text in key
    ]
