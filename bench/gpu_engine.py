"""python bench/gpu_engine.py [--model resnet50] [--device cuda]: photos a second of the GPU engine by batch size, beside
torch called plainly, in f32 and in channels-last half precision, all in one run on one artifact of random weights.

Every way gets the same pixels from memory and gives its answers back there, so copies are in. It takes turns between the
ways, for a machine's clock drifts, and keeps the median turn. Random weights cost the same as trained ones.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from artifact.model import WEIGHTS_FILE, Description  # noqa: E402  the bench runs from any folder

BATCHES = (1, 2, 4, 8, 16, 32, 64)
CLASSES = 133

Run = Callable[[np.ndarray], np.ndarray]


def write_artifact(directory: Path, architecture: str) -> Description:
    import safetensors.torch
    import torch

    from artifact.network import build, own_preprocessing

    torch.manual_seed(0)
    preprocessing = own_preprocessing(architecture)
    network = build(architecture, CLASSES, (), preprocessing.crop)
    safetensors.torch.save_file(
        {name: value.contiguous() for name, value in network.state_dict().items()},
        directory / WEIGHTS_FILE,
    )
    return Description(
        tuple(f"class {index}" for index in range(CLASSES)), preprocessing, architecture
    )


def plain(directory: Path, description: Description, device: str, half: bool) -> Run:
    """torch as one would write it first: the whole network called on each batch, answers copied back."""
    import safetensors.torch
    import torch

    from artifact.network import Cast, Probabilities, build

    network = build(description.architecture, CLASSES, (), description.preprocessing.crop)
    network.load_state_dict(safetensors.torch.load_file(directory / WEIGHTS_FILE))
    if half:
        network = Cast(network, torch.float16 if device.startswith("cuda") else torch.bfloat16)
    model = Probabilities(network, description.preprocessing).to(device).eval()

    def run(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(pixels).to(device)).cpu().numpy()

    return run


def rate(run: Run, pixels: np.ndarray, seconds: float) -> float:
    """Photos a second over at least so many seconds and two calls."""
    started, calls = time.perf_counter(), 0
    while calls < 2 or time.perf_counter() - started < seconds:
        run(pixels)
        calls += 1
    return calls * len(pixels) / (time.perf_counter() - started)


def measure(
    ways: dict[str, Run], batch: int, side: int, turns: int, seconds: float
) -> dict[str, float]:
    pixels = np.random.default_rng(batch).integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
    found = {name: [] for name in ways}
    for run in ways.values():
        run(pixels)
    for _ in range(turns):
        for name, run in ways.items():
            found[name].append(rate(run, pixels, seconds))
    return {name: statistics.median(rates) for name, rates in found.items()}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="resnet50")
    parser.add_argument(
        "--device", default="cuda", help="cuda, cuda:<number>, or cpu to see that it runs"
    )
    parser.add_argument("--max-batch", type=int, default=BATCHES[-1])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each way in each turn")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    import torch

    from artifact.torch_engine import DeviceError, TorchEngine

    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        description = write_artifact(directory, options.model)
        try:
            started = time.perf_counter()
            engine = TorchEngine(directory, description, "auto", options.device, options.max_batch)
        except DeviceError as error:
            print(f"bench-gpu: not measured: {error}", file=sys.stderr)
            return 1
        opened_s = time.perf_counter() - started
        # the engine's graphs are recorded; the plain ways get what a fresh process of torch has
        torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = False, True
        ways = {
            "plain f32": plain(directory, description, options.device, half=False),
            "plain half": plain(directory, description, options.device, half=True),
            f"engine {engine.precision}": engine.run,
        }
        where = (
            torch.cuda.get_device_name(options.device)
            if options.device.startswith("cuda")
            else "CPU"
        )
        print(
            f"{options.model}, {CLASSES} classes, on {where}, torch {torch.__version__}; opened in {opened_s:.1f} s; photos a second\n"
        )
        print(
            "| batch | "
            + " | ".join(ways)
            + " | engine / plain half | engine / plain f32 |\n|"
            + "---|" * (len(ways) + 3)
        )
        rates = {}
        for batch in [size for size in BATCHES if size <= engine.max_batch]:
            rates[batch] = list(
                measure(
                    ways, batch, description.preprocessing.crop, options.turns, options.seconds
                ).values()
            )
            f32, half, own = rates[batch]
            print(
                f"| {batch} | {f32:.0f} | {half:.0f} | {own:.0f} | {own / half:.2f} | {own / f32:.2f} |",
                flush=True,
            )
        last = max(rates)
        print(
            f"\nbench-gpu: model={options.model} device='{where}' precision={engine.precision} batch_1={rates[1][2]:.0f}/s "
            f"batch_{last}={rates[last][2]:.0f}/s over_plain_half={rates[1][2] / rates[1][1]:.2f},{rates[last][2] / rates[last][1]:.2f} "
            f"over_plain_f32={rates[1][2] / rates[1][0]:.2f},{rates[last][2] / rates[last][0]:.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
