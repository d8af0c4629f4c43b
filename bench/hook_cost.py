"""python bench/hook_cost.py [--model resnet50] [--device cpu]: what smdebug's hook costs a training step, as a share of the step without it.

One network, one optimizer, one batch of noise; blocks of steps with and without the hook take turns, for a machine's clock
drifts, and each ratio is of two blocks that follow each other. All parameters train, which is the dearest case: frozen ones are not saved.
"""

import argparse
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

BENCH = Path(__file__).resolve().parent
sys.path.insert(0, str(BENCH.parent))  # before this folder, in which train.py is another

from sections import machine, replace_section  # noqa: E402  the bench runs from any folder

from train.job import Job  # noqa: E402

TITLE = "## What the debugger's hook costs a step (`make bench-hook`)"


def step_of(network, batch: int, side: int, device: str) -> Callable:
    """A training step on one batch of noise, which tells `record` as a training loop does."""
    import torch
    from torch import nn

    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)
    photos, labels = (
        torch.randn(batch, 3, side, side, device=device),
        torch.randint(0, 133, (batch,), device=device),
    )

    def step(hook) -> None:
        logits = network(photos)
        loss = nn.functional.cross_entropy(logits, labels)
        if hook:
            hook.record(loss, labels, logits)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return step


def seconds(step: Callable, hook, count: int, clock: Callable[[], float]) -> float:
    started = clock()
    for _ in range(count):
        step(hook)
    return (clock() - started) / count


def measure(
    network, step: Callable, interval: int, steps: int, turns: int, clock: Callable[[], float]
) -> tuple[float, float, float]:
    """Seconds a step without and with the hook, medians, and the median of the turns' ratios; every block has as many saved steps."""
    from train.recording.debug_settings import DebugSettings
    from train.recording.hooks import open_hook

    plain, hooked = [], []
    with tempfile.TemporaryDirectory() as folder:
        hook = open_hook(Job(Path(folder)), DebugSettings(train_interval=interval), network)
        if hook is None:
            sys.exit("bench-hook: smdebug is not installed")
        step(hook)
        for _ in range(turns):
            hook.close()
            step(None)
            plain.append(seconds(step, None, steps, clock))
            hook = open_hook(Job(Path(folder)), DebugSettings(train_interval=interval), network)
            step(hook)  # the first step of a hook also writes what it will save: once a training
            hooked.append(seconds(step, hook, steps, clock))
        hook.close()
    return (
        statistics.median(plain),
        statistics.median(hooked),
        statistics.median(with_hook / without for without, with_hook in zip(plain, hooked)),
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:<number>")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=224, help="pixels")
    parser.add_argument(
        "--steps",
        type=int,
        default=40,
        help="with the hook and without it, each, in turns as short as the interval lets them be",
    )
    parser.add_argument(
        "--intervals",
        default="10,1",
        help="save every so many steps; 10 is the default of trainings, 1 the dearest",
    )
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: this process's own time, on a machine that is busy with others",
    )
    return parser.parse_args()


def main() -> int:
    options = arguments()
    logging.getLogger("train.recording.hooks").setLevel(logging.ERROR)
    import torch
    import torchvision

    torch.manual_seed(0)
    network = (
        torchvision.models.get_model(options.model, weights=None, num_classes=133)
        .to(options.device)
        .train()
    )
    step = step_of(network, options.batch, options.side, options.device)
    step(None)
    clock = {"wall": time.perf_counter, "cpu": time.process_time}[options.clock]
    where = (
        torch.cuda.get_device_name(options.device)
        if options.device.startswith("cuda")
        else f"CPU, {torch.get_num_threads()} threads"
    )
    lines = [
        f"{machine()}. {options.model}, batch {options.batch} at {options.side} x {options.side}, {where}, torch {torch.__version__}, "
        f"{options.clock} time; gradients, weights, activations and samples, as statistics and 512 values.",
        "",
        "| saved every | ms a step without | with | cost |",
        "|---|---|---|---|",
    ]
    costs = []
    for interval in (int(text) for text in options.intervals.split(",")):
        block = max(2, interval)
        plain, hooked, ratio = measure(
            network, step, interval, block, max(1, options.steps // block), clock
        )
        costs.append(f"every_{interval}={100 * (ratio - 1):.1f}%")
        lines.append(
            f"| {interval} | {1000 * plain:.1f} | {1000 * hooked:.1f} | {100 * (ratio - 1):+.1f} % |"
        )
        print(lines[-1], flush=True)
    replace_section(BENCH / "RESULTS.md", TITLE, "\n".join(lines))
    print(
        f"\nbench-hook: model={options.model} device='{where}' batch={options.batch} side={options.side} {' '.join(costs)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
