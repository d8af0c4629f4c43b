"""python -m bench.on_gpu.device: what the device is, and its limit; JSON in the last line.

The limit is the rate of large matrix products in bfloat16, operations per second.
"""

import argparse
import json
import time

import torch

from artifact.engines.nvidia import driver_version

PRODUCTS = 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench-gpu-device", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--side", type=int, default=8192, help="of the matrices")
    options = parser.parse_args()
    found = {"device": "the processor", "torch": torch.__version__, "gpus": 0}
    if options.device == "cuda":
        gpu = torch.cuda.get_device_properties(0)
        found["device"] = f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB"
        found["gpus"] = torch.cuda.device_count()
    found["driver"] = driver_version() or "none"
    found["limit"] = limit(options.device, options.side)
    print(json.dumps(found))


def limit(device: str, side: int) -> float:
    """Operations per second."""
    matrix = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    for _ in range(3):  # not timed: a first call chooses its kernel
        torch.mm(matrix, matrix)
    wait(device)
    started = time.perf_counter()
    for _ in range(PRODUCTS):
        torch.mm(matrix, matrix)
    wait(device)
    return PRODUCTS * 2 * side**3 / (time.perf_counter() - started)


def wait(device: str) -> None:
    """Until a GPU's work is done."""
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
