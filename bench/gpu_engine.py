"""python -m bench.gpu_engine: photos/s of the GPU engine by batch size, beside plain torch.

torch runs in f32 and in channels-last half precision, all in one run on one artifact of random
weights, which cost the same as trained ones. Every way gets the same pixels from memory and returns
its answers there, so copies are included. The ways take turns, because a machine's clock drifts;
the median turn counts.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from artifact.model import WEIGHTS_FILE, Description
from artifact.network import Cast, build, own_preprocessing
from artifact.nvidia import DeviceError
from artifact.probabilities import Probabilities
from artifact.torch_engine import TorchEngine

BATCHES = (1, 2, 4, 8, 16, 32, 64)
CLASSES = 133

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class Rates(NamedTuple):
    """Photos/s of each way at one batch size."""

    f32: float
    half: float
    engine: float

    def row(self, batch: int) -> str:
        rates = f"{self.f32:.0f} | {self.half:.0f} | {self.engine:.0f}"
        return f"| {batch} | {rates} | {self.over_half:.2f} | {self.over_f32:.2f} |"

    @property
    def over_half(self) -> float:
        return self.engine / self.half

    @property
    def over_f32(self) -> float:
        return self.engine / self.f32


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        description = write_artifact(directory, options.model)
        started = time.perf_counter()
        try:
            device = options.device
            engine = TorchEngine(directory, description, "auto", device, options.max_batch)
        except DeviceError as error:
            print(f"bench-gpu: not measured: {error}", file=sys.stderr)
            return 1
        opened_s = time.perf_counter() - started
        # The engine's graphs are recorded; the plain ways get the settings of a fresh process.
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.allow_tf32 = True
        ways = {
            "plain f32": plain(directory, description, device, half=False),
            "plain half": plain(directory, description, device, half=True),
            f"engine {engine.precision}": engine.run,
        }
        where = "CPU"
        if options.device.startswith("cuda"):
            where = torch.cuda.get_device_name(options.device)
        print(f"{options.model}, {CLASSES} classes, on {where}, torch {torch.__version__}")
        print(f"opened in {opened_s:.1f} s; photos/s:\n")
        heads = ["batch", *ways, "engine / plain half", "engine / plain f32"]
        print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
        rates = {}
        for batch in BATCHES:
            if batch <= engine.max_batch:
                side = description.preprocessing.crop
                measured = measure(ways, batch, side, options.turns, options.seconds)
                rates[batch] = Rates(*measured)
                print(rates[batch].row(batch), flush=True)
        head = f"model={options.model} device='{where}' precision={engine.precision}"
        print(f"\nbench-gpu: {head} {summary(rates)}")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-gpu", description=__doc__)
    parser.add_argument("--model", default="resnet50")
    parser.add_argument(
        "--device", default="cuda", help="cuda, cuda:<number>, or cpu to see that it runs"
    )
    parser.add_argument("--max-batch", type=int, default=BATCHES[-1])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each way in each turn")
    return parser.parse_args()


def write_artifact(directory: Path, architecture: str) -> Description:
    """The weights and the description of a network that nobody has trained."""
    torch.manual_seed(0)
    preprocessing = own_preprocessing(architecture)
    network = build(architecture, CLASSES, (), preprocessing.crop)
    state = network.state_dict()
    # safetensors takes contiguous tensors only.
    weights = {name: value.contiguous() for name, value in state.items()}
    safetensors.torch.save_file(weights, directory / WEIGHTS_FILE)
    classes = tuple(f"class {index}" for index in range(CLASSES))
    return Description(classes, preprocessing, architecture)


def plain(directory: Path, description: Description, device: str, half: bool) -> Run:
    """torch as one writes it first: the whole network on each batch, answers copied back."""
    side = description.preprocessing.crop
    network = build(description.architecture, CLASSES, (), side)
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
) -> Iterable[float]:
    """Photos/s of each way, the median of its turns."""
    rng = np.random.default_rng(batch)
    pixels = rng.integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for run in ways.values():
        run(pixels)  # not timed: a first call loads kernels and takes memory
    for _ in range(turns):
        for name, run in ways.items():
            found[name].append(rate(run, pixels, seconds))
    return [statistics.median(rates) for rates in found.values()]


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


def summary(rates: Mapping[int, Rates]) -> str:
    """The first and the last batch size in the words of the last line."""
    last = max(rates)
    one = rates[1]
    most = rates[last]
    return (
        f"batch_1={one.engine:.0f}/s batch_{last}={most.engine:.0f}/s "
        f"over_plain_half={one.over_half:.2f},{most.over_half:.2f} "
        f"over_plain_f32={one.over_f32:.2f},{most.over_f32:.2f}"
    )


if __name__ == "__main__":
    sys.exit(main())
