"""python -m bench.on_gpu.collective: two processes add up a network's gradients, again and again.

NCCL on two GPUs, gloo on the processor. Prints {"seconds": of one sum} as JSON.
"""

import argparse
import json
import statistics
import time

import torch
from torch import distributed
from torch.multiprocessing.spawn import start_processes

from runtime.ports import free_port

PROCESSES = 2
WARM = 3
TURNS = 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench-gpu-collective", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--values", type=int, default=25_557_032, help="float32")
    options = parser.parse_args()
    arguments = (free_port(), options.device, options.values)
    start_processes(one, arguments, PROCESSES)  # type: ignore[no-untyped-call]  # torch's


def one(rank: int, port: int, device: str, count: int) -> None:
    """A process's part; the first one prints."""
    place = torch.device(device, rank) if device == "cuda" else torch.device(device)
    backend = "nccl" if device == "cuda" else "gloo"
    if device == "cuda":
        torch.cuda.set_device(place)
    where = f"tcp://127.0.0.1:{port}"
    distributed.init_process_group(backend, init_method=where, rank=rank, world_size=PROCESSES)
    values = torch.full((count,), float(rank + 1), device=place)
    distributed.all_reduce(values)
    if not bool((values == 3).all()):
        raise SystemExit("the sum is wrong")
    seconds = []
    for _ in range(WARM + TURNS):
        started = time.perf_counter()
        distributed.all_reduce(values)
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    if rank == 0:
        print(json.dumps({"seconds": statistics.median(seconds[WARM:])}), flush=True)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
