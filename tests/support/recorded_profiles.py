"""Profiles in the very form that SageMaker writes to S3.

For things that this machine cannot record: GPUs, hours, many nodes.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

START = 1591748100  # a whole minute, 2020-06-10 00:15 UTC
Values = float | Callable[[float], float]  # the same all the time, or by the second
Metrics = Mapping[tuple[str, str, str], Values]  # by type, name, dimension


def record_system(
    folder: Path,
    seconds: float,
    metrics: Metrics,
    node: str = "algo-1",
    every: float = 0.5,
) -> Path:
    """Write system/incremental; the folder. Threads wake up milliseconds apart.

    every: seconds from one measurement to the next.
    """
    files: dict[int, list[str]] = {}  # by the minute that they begin with
    for index in range(round(seconds / every)):
        second = index * every
        at = START + second
        lines = files.setdefault(int(at // 60 * 60), [])
        for number, ((kind, name, dimension), values) in enumerate(metrics.items()):
            value = values(second) if callable(values) else values
            event = {
                "Type": kind,
                "Name": name,
                "Dimension": dimension,
                "Value": round(value, 2),
                "NodeId": node,
                "Timestamp": at + 0.001 * (number % 4),
            }
            lines.append(json.dumps(event, separators=(",", ":")))
    for minute, lines in files.items():
        hour = time.strftime("%Y%m%d%H", time.gmtime(minute))
        path = folder / "system" / "incremental" / hour / f"{minute}.{node}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    return folder


def machine(
    cpu: Values = 30, gpu: Iterable[Values] = (), memory: Values = 40, waiting: Values = 0
) -> Metrics:
    """The metrics of a machine of two cores and as many GPUs as `gpu` has entries."""
    metrics: dict[tuple[str, str, str], Values] = {
        ("memory", "MemoryUsedPercent", ""): 20.0,
        ("i/o", "IOPS", ""): 5.0,
        ("i/o", "ReadThroughputInBytesPerSecond", ""): 2e6,
        ("i/o", "WriteThroughputInBytesPerSecond", ""): 1e5,
        ("network", "ReceiveBytesPerSecond", "Algorithm"): 3e5,
        ("network", "TransmitBytesPerSecond", "Algorithm"): 1e5,
        ("network", "ReceiveBytesPerSecond", "Platform"): 6e7,
    }
    for core in ("cpu0", "cpu1"):
        metrics |= {
            ("cpu", core, "CPUUtilization"): cpu,
            ("cpu", core, "I/OWaitPercentage"): waiting,
        }
    for number, value in enumerate(gpu):
        metrics |= {
            ("gpu", f"gpu{number}", "GPUUtilization"): value,
            ("gpu", f"gpu{number}", "GPUMemoryUtilization"): memory,
        }
    return metrics


def record_steps(
    folder: Path,
    durations: Iterable[float],
    begin: float = START + 5,
    mode: str = "TRAIN",
    worker: str = "0-algo-1",
    whole: bool = True,
) -> Path:
    """Write framework/pevents; the folder. Half of each step is a forward pass.

    whole: False for a trace that was cut off in the middle.
    """
    events: list[dict[str, object]] = [
        {
            "name": "process_name",
            "ph": "M",
            "pid": 0,
            "args": {"start_time_since_epoch_in_micros": round(START * 1e6)},
        },
        {"name": "process_name", "ph": "M", "pid": 1, "args": {"name": f"Step:ModeKeys.{mode}"}},
        {"name": "process_name", "ph": "M", "pid": 2, "args": {"name": "Forward"}},
    ]
    at = begin - START
    for number, duration in enumerate(durations):
        for phase, name, share in ((2, "Forward", 0.5), (1, f"Step:ModeKeys.{mode}", 1.0)):
            events.append(
                {
                    "name": name,
                    "pid": phase,
                    "ph": "X",
                    "ts": round(at * 1e6),
                    "dur": round(duration * share * 1e6),
                    "args": {"step_num": str(number)},
                }
            )
        at += duration
    text = "[\n" + ",\n".join(json.dumps(event) for event in events) + "\n]"
    end = round((START + at) * 1e6)
    hour = time.strftime("%Y%m%d%H", time.gmtime(end / 1e6))
    path = folder / "framework" / "pevents" / hour / f"{end}_{worker}_pythontimeline.json"
    if not whole:
        path = folder / "framework" / f"{worker}_pythontimeline.json.tmp"
        text = text[:-40]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return folder


def steady(count: int, seconds: float = 0.1, seed: int = 0) -> np.ndarray:
    """Durations in seconds of `count` steps, which hardly vary."""
    return seconds * (1 + 0.02 * np.random.default_rng(seed).standard_normal(count))
