"""python -m bench.on_gpu.engine MODEL: photos/s of the GPU engine, beside plain torch.

By batch size; torch runs in f32 and in channels-last half precision, all in one run. Every way
gets the same pixels from memory and returns its answers there, so copies are included. They take
turns, because a machine's clock drifts; the median turn counts. The last line is JSON.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from artifact.engines.nvidia import DeviceError
from artifact.engines.torch_engine import TorchEngine
from artifact.model import WEIGHTS_FILE, Description, read_description
from artifact.networks.network import Cast, build
from artifact.networks.probabilities import Probabilities

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def main() -> int:
    options = arguments()
    description = read_description(options.model)
    started = time.perf_counter()
    device = options.device
    try:
        engine = TorchEngine(options.model, description, "auto", device, options.max_batch)
    except DeviceError as error:
        print(f"bench-gpu: not measured: {error}", file=sys.stderr)
        return 1
    opened_s = time.perf_counter() - started
    # The engine's graphs are recorded; the plain ways get the settings of a fresh process.
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = True
    ways = {
        "plain_f32": plain(options.model, description, device, half=False),
        "plain_half": plain(options.model, description, device, half=True),
        "engine": engine.run,
    }
    rates = {}
    for batch in BATCHES:
        if batch <= engine.max_batch:
            side = description.preprocessing.crop
            rates[batch] = measure(ways, batch, side, options.turns, options.seconds)
            print(batch, rates[batch], flush=True)
    print(json.dumps({"opened_s": opened_s, "precision": engine.precision, "rates": rates}))
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-gpu-engine", description=__doc__)
    parser.add_argument("model", type=Path, help="folder of a trained model")
    parser.add_argument(
        "--device", default="cuda", help="cuda, cuda:<number>, or cpu to see that it runs"
    )
    parser.add_argument("--max-batch", type=int, default=64)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each way in each turn")
    return parser.parse_args()


def plain(directory: Path, description: Description, device: str, half: bool) -> Run:
    """torch as one writes it first: the whole network on each batch, answers copied back."""
    side = description.preprocessing.crop
    classes = len(description.classes)
    network = build(description.architecture, classes, description.head, side)
    weights = safetensors.torch.load_file(directory / WEIGHTS_FILE)
    network.load_state_dict(weights)
    if half:
        precision = torch.bfloat16  # as the engine takes it on a CPU
        if device.startswith("cuda"):
            precision = torch.float16
        network = Cast(network, precision)
    model = Probabilities(network, description.preprocessing)
    model.to(device).eval()

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            sent = torch.from_numpy(pixels).to(device)
            answers: torch.Tensor = model(sent)
            return answers.cpu().numpy()

    return run


def measure(
    ways: Mapping[str, Run], batch: int, side: int, turns: int, seconds: float
) -> dict[str, float]:
    """Photos/s of each way, the median of its turns."""
    rng = np.random.default_rng(batch)
    pixels = rng.integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for run in ways.values():
        run(pixels)  # not timed: a first call loads kernels and takes memory
    for _ in range(turns):
        for name, run in ways.items():
            found[name].append(rate(run, pixels, seconds))
    return {name: statistics.median(rates) for name, rates in found.items()}


def rate(run: Run, pixels: NDArray[np.uint8], seconds: float) -> float:
    """Photos/s over at least `seconds` and two calls."""
    calls = 0
    spent = 0.0
    started = time.perf_counter()
    while calls < 2 or spent < seconds:
        run(pixels)
        calls += 1
        spent = time.perf_counter() - started
    return calls * len(pixels) / spent


if __name__ == "__main__":
    sys.exit(main())
