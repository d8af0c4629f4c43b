"""python bench/profile_cost.py: what profiling costs a training of ResNet18, as a ratio measured in one run.

One network, one stream of random photos; chunks of steps with and without the profile alternate, in an order that is turned round each time, so
that what else the machine does hits both. Both the time on the wall and, on a CPU, the processor time of this process are compared: on a busy machine only the
second says anything. Prints one JSON line; exits with 1 when the median cost (processor time; on a GPU wall time) is 2 % or more.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parent
sys.path.insert(0, str(BENCH.parent))  # before this folder, in which train.py is another

import torch  # noqa: E402
import torchvision  # noqa: E402
from sections import machine, replace_section  # noqa: E402

from train.recording.profile import NoProfile, Profile, profiling  # noqa: E402
from train.recording.profile_settings import ProfileSettings  # noqa: E402
from train.recording.profile_system import Meters, gpu_meter  # noqa: E402

TITLE = "## What profiling costs a training (`make bench-profile`)"
BAR = 0.02
SPANS_A_STEP = 5  # waiting for data, forward, backward, optimizer, and the step itself


def main() -> int:
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
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = torchvision.models.resnet18(num_classes=10).to(device)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    photos = torch.randn(
        options.batch_size, 3, options.image_size, options.image_size, device=device
    )
    labels = torch.randint(10, (options.batch_size,), device=device)

    def chunk(profile: NoProfile | Profile) -> tuple[float, float]:
        """Seconds that a chunk of steps takes, on the wall and of the processor."""
        started = time.perf_counter(), time.process_time()
        for batch in profile.steps(photos for _ in range(options.steps)):
            with profile.span("Forward"):
                loss = torch.nn.functional.cross_entropy(network(batch), labels)
            with profile.span("Backward"):
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
            with profile.span("Optimizer"):
                optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started[0], time.process_time() - started[1]

    chunk(NoProfile())
    rounds = [
        one_round(chunk, number % 2 == 0, options.interval_ms, device.type)
        for number in range(options.rounds)
    ]
    wall, processor = (
        [with_[kind] / without[kind] - 1 for with_, without in rounds] for kind in (0, 1)
    )
    costs = wall if device.type == "cuda" else processor
    step = statistics.median(without[0] for _, without in rounds) / options.steps
    span, measurement = parts()
    found = {
        "bench": "profile-cost",
        "device": device.type,
        "step_ms": _ms(step),
        "cost_percent": _percent(statistics.median(costs)),
        "quartiles_percent": [
            _percent(quartile) for quartile in statistics.quantiles(costs, n=4)[::2]
        ],
        "wall_cost_percent": _percent(statistics.median(wall)),
        "span_us": round(1e6 * span, 2),
        "measurement_ms": _ms(measurement),
        "cost_of_parts_percent": _percent(
            SPANS_A_STEP * span / step + 1000 * measurement / options.interval_ms
        ),
        "rounds": options.rounds,
    }
    replace_section(
        BENCH / "RESULTS.md",
        TITLE,
        f"{machine()}. ResNet18, {options.image_size} pixels, batch {options.batch_size}, {options.rounds} rounds; bar: 2 %.\n\n"
        "| ms a step | cost, processor time | its quartiles | cost, wall | a span | a measurement of the machine |\n"
        "|---|---|---|---|---|---|\n"
        f"| {found['step_ms']} | {found['cost_percent']} % | {' to '.join(map(str, found['quartiles_percent']))} % | "
        f"{found['wall_cost_percent']} % | "
        f"{found['span_us']} us | {found['measurement_ms']} ms |",
    )
    print(json.dumps(found))
    return int(statistics.median(costs) >= BAR)


def one_round(
    chunk, profiled_first: bool, interval_ms: int, device_type: str
) -> tuple[tuple[float, float], tuple[float, float]]:
    """What a chunk takes with the profile and without it."""
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for profiled in (profiled_first, not profiled_first):
            with profiling(
                ProfileSettings(Path(folder), interval_ms) if profiled else None, device_type
            ) as profile:
                seconds[profiled] = chunk(profile)
    return seconds[True], seconds[False]


def parts() -> tuple[float, float]:
    """Processor seconds of one span, written, and of one measurement of the machine."""
    with (
        tempfile.TemporaryDirectory() as folder,
        profiling(ProfileSettings(Path(folder), 60000)) as profile,
    ):
        started = time.process_time()
        for _ in range(20000):
            with profile.span("Forward"):
                pass
        profile.close()
        span = (time.process_time() - started) / 20000
    meters = Meters(gpu_meter())
    started = time.process_time()
    for _ in range(50):
        meters.measure()
    return span, (time.process_time() - started) / 50


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 2)


def _percent(share: float) -> float:
    return round(100 * share, 2)


if __name__ == "__main__":
    sys.exit(main())
