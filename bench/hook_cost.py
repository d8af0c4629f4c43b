"""python -m bench.hook_cost: what smdebug's hook costs a training step, as a share of the step.

One network, one optimizer, one batch of noise. Blocks of steps with and without the hook take
turns, because a machine's clock drifts, and each ratio is of two neighbouring blocks. All
parameters train, which costs most: frozen ones are not saved.
"""

import argparse
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from torch import nn

from bench.sections import machine, replace_section
from train.job import Job
from train.recording.debug_settings import DebugSettings
from train.recording.hooks import Hook, open_hook

TITLE = "## What the debugger's hook costs per step (`make bench-hook`)"
CLASSES = 133
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

Step = Callable[[Hook | None], None]
Clock = Callable[[], float]


def main() -> int:
    options = arguments()
    logging.getLogger("train.recording.hooks").setLevel(logging.ERROR)
    torch.manual_seed(0)
    # Random weights: what a hook costs depends on their number alone.
    network = torchvision.models.get_model(options.model, num_classes=CLASSES)
    network.to(options.device).train()
    step = step_of(network, options.batch, options.side, options.device)
    step(None)
    where = f"CPU, {torch.get_num_threads()} threads"
    if options.device.startswith("cuda"):
        where = torch.cuda.get_device_name(options.device)
    rows = ["| saved every | ms per step without | with | cost |", "|---|---|---|---|"]
    costs = []
    for interval in map(int, options.intervals.split(",")):
        # A whole interval, so that each block has one saved step; one step alone is too short.
        block = max(2, interval)
        turns = max(1, options.steps // block)
        clock = CLOCKS[options.clock]
        plain, hooked, ratio = measure(network, step, interval, block, turns, clock)
        cost = 100 * (ratio - 1)
        costs.append(f"every_{interval}={cost:.1f}%")
        rows.append(f"| {interval} | {1000 * plain:.1f} | {1000 * hooked:.1f} | {cost:+.1f} % |")
        print(rows[-1], flush=True)
    about = (
        f"{machine()}. {options.model}, batch {options.batch} at {options.side} x {options.side}, "
        f"{where}, torch {torch.__version__}, {options.clock} time; gradients, weights, "
        "activations and samples, as statistics and 512 values."
    )
    table = "\n".join(rows)
    replace_section(TITLE, f"{about}\n\n{table}")
    print(f"\n{table}")
    sizes = f"batch={options.batch} side={options.side}"
    print(f"\nbench-hook: model={options.model} device='{where}' {sizes} {' '.join(costs)}")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-hook", description=__doc__)
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:<number>")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=224, help="pixels")
    parser.add_argument(
        "--steps",
        type=int,
        default=40,
        help="with the hook, and without it, in turns as short as the interval allows",
    )
    parser.add_argument(
        "--intervals",
        default="10,1",
        help="steps from one save to the next; 10 is the default of trainings, 1 costs most",
    )
    parser.add_argument(
        "--clock",
        choices=tuple(CLOCKS),
        default="wall",
        help="cpu: this process's own time, on a machine that is busy with others",
    )
    return parser.parse_args()


def step_of(network: nn.Module, batch: int, side: int, device: str) -> Step:
    """A training step on one batch of noise, with `record` called as a training loop does."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)
    photos = torch.randn(batch, 3, side, side, device=device)
    labels = torch.randint(0, CLASSES, (batch,), device=device)

    def step(hook: Hook | None) -> None:
        logits = network(photos)
        loss = nn.functional.cross_entropy(logits, labels)
        if hook:
            hook.record(loss, labels, logits)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        optimizer.step()
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return step


def measure(
    network: nn.Module, step: Step, interval: int, steps: int, turns: int, clock: Clock
) -> tuple[float, float, float]:
    """Median seconds of a step without and with the hook, and the median of the turns' ratios.

    Every block has the same number of saved steps.
    """
    plain = []
    hooked = []
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(turns):
            step(None)  # not timed: every block starts warm
            plain.append(seconds(step, None, steps, clock))
            settings = DebugSettings(train_interval=interval)
            hook = open_hook(Job(Path(folder)), settings, network)
            if hook is None:
                sys.exit("bench-hook: smdebug is not installed")
            step(hook)  # a hook's first step also writes what it will save, once in a training
            hooked.append(seconds(step, hook, steps, clock))
            hook.close()
            ratios.append(hooked[-1] / plain[-1])
    plain_s = statistics.median(plain)
    hooked_s = statistics.median(hooked)
    return plain_s, hooked_s, statistics.median(ratios)


def seconds(step: Step, hook: Hook | None, count: int, clock: Clock) -> float:
    """Of one step, the mean of `count`."""
    started = clock()
    for _ in range(count):
        step(hook)
    return (clock() - started) / count


if __name__ == "__main__":
    sys.exit(main())
