"""python -m bench.profile_cost: what profiling costs a training of ResNet18, as a ratio.

One network, one batch of random photos. Chunks of steps with and without the profile alternate, in
an order that is turned round each time, so that other work on the machine hits both. It compares
wall time and, on a CPU, the processor time of this process: on a busy machine only the second
counts. It ends with a table and one JSON line; the exit code is 1 when the median cost (processor
time; on a GPU wall time) is 2 % or more.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
import torchvision

from artifact.host.system_metrics import Meters, gpu_meter
from bench.sections import machine, replace_section
from train.device import pick_device
from train.recording.profile import NoProfile, Profile, profiling
from train.recording.profile_settings import ProfileSettings

TITLE = "## What profiling costs a training (`make bench-profile`)"
BAR = 0.02  # of a step's time, at most
SPANS_PER_STEP = 5  # waiting for data, forward, backward, optimizer, and the step itself
SPANS = 20000  # timed for the cost of one
MEASUREMENTS = 50  # of the machine, timed for the cost of one
HEADS = (
    "ms per step",
    "cost, processor time",
    "its quartiles",
    "cost, wall",
    "a span",
    "a measurement of the machine",
)


class Seconds(NamedTuple):
    """Of a chunk of steps."""

    wall: float
    processor: float


class Round(NamedTuple):
    """A chunk with the profile, and one without."""

    profiled: Seconds
    plain: Seconds

    def wall_cost(self) -> float:
        """The share of wall time that profiling adds."""
        return self.profiled.wall / self.plain.wall - 1

    def processor_cost(self) -> float:
        """The share of processor time that profiling adds."""
        return self.profiled.processor / self.plain.processor - 1


Chunk = Callable[[NoProfile | Profile], Seconds]


def main() -> int:
    options = arguments()
    device = pick_device()
    chunk = make_chunk(device, options.batch_size, options.image_size, options.steps)
    chunk(NoProfile())
    rounds = []
    for number in range(options.rounds):
        profiled_first = number % 2 == 0
        rounds.append(one_round(chunk, profiled_first, options.interval_ms, device.type))
    wall = [pair.wall_cost() for pair in rounds]
    processor = [pair.processor_cost() for pair in rounds]
    costs = processor
    if device.type == "cuda":
        costs = wall  # a GPU's own time is not in this process's
    chunk_s = statistics.median(pair.plain.wall for pair in rounds)
    step_s = chunk_s / options.steps
    span_s = span_seconds()
    measurement_s = measurement_seconds()
    # The same cost, added up from its parts: a check of the ratio above.
    parts = SPANS_PER_STEP * span_s / step_s
    parts += 1000 * measurement_s / options.interval_ms
    low, _, high = statistics.quantiles(costs, n=4)
    found = {
        "bench": "profile-cost",
        "device": device.type,
        "step_ms": _ms(step_s),
        "cost_percent": _percent(statistics.median(costs)),
        "quartiles_percent": [_percent(low), _percent(high)],
        "wall_cost_percent": _percent(statistics.median(wall)),
        "span_us": round(1e6 * span_s, 2),
        "measurement_ms": _ms(measurement_s),
        "cost_of_parts_percent": _percent(parts),
        "rounds": options.rounds,
    }
    sizes = f"{options.image_size} pixels, batch {options.batch_size}, {options.rounds} rounds"
    rows = table(found, _percent(low), _percent(high))
    replace_section(TITLE, f"{machine()}. ResNet18, {sizes}; bar: 2 %.\n\n{rows}")
    print(rows)
    print(json.dumps(found))
    return int(statistics.median(costs) >= BAR)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="profile-cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=80)
    parser.add_argument("--steps", type=int, default=12, help="of each chunk")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument(
        "--image-size",
        type=int,
        default=64,
        help="pixels; small photos make short steps, which profiling costs most",
    )
    parser.add_argument("--interval-ms", type=int, default=500)
    return parser.parse_args()


def make_chunk(device: torch.device, batch_size: int, image_size: int, steps: int) -> Chunk:
    """A chunk of training steps of one ResNet18."""
    network = torchvision.models.resnet18(num_classes=10)
    network.to(device)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    photos = torch.randn(batch_size, 3, image_size, image_size, device=device)
    labels = torch.randint(10, (batch_size,), device=device)

    def chunk(profile: NoProfile | Profile) -> Seconds:
        wall = time.perf_counter()
        processor = time.process_time()
        for batch in profile.steps(photos for _ in range(steps)):
            with profile.span("Forward"):
                logits = network(batch)
                loss = torch.nn.functional.cross_entropy(logits, labels)
            with profile.span("Backward"):
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]  # torch's
            with profile.span("Optimizer"):
                optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        wall = time.perf_counter() - wall
        return Seconds(wall, time.process_time() - processor)

    return chunk


def one_round(chunk: Chunk, profiled_first: bool, interval_ms: int, device_type: str) -> Round:
    """A chunk with the profile and one without, in either order."""
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for profiled in (profiled_first, not profiled_first):
            settings = None
            if profiled:
                settings = ProfileSettings(Path(folder), interval_ms)
            with profiling(settings, device_type) as profile:
                seconds[profiled] = chunk(profile)
    return Round(profiled=seconds[True], plain=seconds[False])


def span_seconds() -> float:
    """Processor seconds of one span, written."""
    with tempfile.TemporaryDirectory() as folder:
        profile = Profile(ProfileSettings(Path(folder), 60000))
        started = time.process_time()
        for _ in range(SPANS):
            with profile.span("Forward"):
                pass
        profile.close()
        return (time.process_time() - started) / SPANS


def measurement_seconds() -> float:
    """Processor seconds of one measurement of the machine."""
    meters = Meters(gpu_meter())
    started = time.process_time()
    for _ in range(MEASUREMENTS):
        meters.measure()
    return (time.process_time() - started) / MEASUREMENTS


def table(found: dict[str, object], low: float, high: float) -> str:
    """The figures as Markdown. low, high: quartiles of the cost, percent."""
    cells = [
        found["step_ms"],
        f"{found['cost_percent']} %",
        f"{low} to {high} %",
        f"{found['wall_cost_percent']} %",
        f"{found['span_us']} us",
        f"{found['measurement_ms']} ms",
    ]
    heads = " | ".join(HEADS)
    rule = "---|" * len(HEADS)
    values = " | ".join(str(cell) for cell in cells)
    return f"| {heads} |\n|{rule}\n| {values} |"


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 2)


def _percent(share: float) -> float:
    return round(100 * share, 2)


if __name__ == "__main__":
    sys.exit(main())
