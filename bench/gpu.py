"""python -m bench.gpu: all that a GPU is to do, measured, into a section of bench/RESULTS.md.

It trains, serves and adds up gradients on any machine with CUDA, by turns: our training of ResNet50
fed from JPEGs, from kept photos and from one batch, torchvision's reference loop, VGG16 with a
frozen head, the engine alone, the server under 1 to 256 connections, and NCCL where there are two
GPUs. A part that fails is left out; the table, with the rows that are missing, is always written.
--dry-run does all of it in tiny sizes on the processor, and writes no section.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

from artifact.engines.nvidia import DeviceError, use_gpu
from artifact.host.listening import ask_loopback_directly
from bench.on_gpu import serving, training
from bench.on_gpu.cells import TINY, Bench, Cell, Figure, LeftOut, Sizes, run_cells
from bench.on_gpu.results import bars, table, write_section
from bench.sections import OUT, RESULTS, missed
from bench.told_to_stop import until_told
from bench.training.jobs import run

NO_GPU = "no GPU is here that torch can use"


def main() -> int:
    options = arguments()
    ask_loopback_directly()
    bench = opened(options)
    cells = all_cells(bench.sizes)
    rows = list(chain.from_iterable(cell.rows for cell in cells))
    if options.dry_run or has_gpu():
        with until_told():
            run_cells(bench, cells)
    else:
        bench.left_out = dict.fromkeys(rows, NO_GPU)
    if not options.dry_run:
        write_section(bench, cells, options.results)
    print(table(bench, cells), flush=True)
    goals = bars(bench)
    words = [f"{name}={bar.value:.2f}" for name, bar in goals.items()]
    missing = sum(key not in bench.figures for key in rows)
    words += [f"figures={len(rows) - missing}", f"left_out={missing}"]
    print(f"bench-gpu: {' '.join(words)}")
    return int(options.strict and bool(missed(goals) or missing))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT / "bench-gpu", help="photos and runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file with the section")
    parser.add_argument("--dry-run", action="store_true", help="tiny, on the processor")
    parser.add_argument(
        "--strict", action="store_true", help="exit with 1 when a bar is missed or a row left out"
    )
    return parser.parse_args()


def opened(options: argparse.Namespace) -> Bench:
    device = "cuda"
    sizes = Sizes()
    if options.dry_run:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # of the processes that this one starts, too
        device = "cpu"
        sizes = TINY
    out = options.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    return Bench(device, out, sizes, len(os.sched_getaffinity(0)))


def has_gpu() -> bool:
    try:
        return use_gpu()
    except DeviceError as error:
        print(f"bench-gpu: {error}", file=sys.stderr)
        return False


def all_cells(sizes: Sizes) -> tuple[Cell, ...]:
    """What is measured, in this order: later cells use the figures of earlier ones."""
    model = sizes.model
    return (
        Cell("device", DEVICE_ROWS, device),
        Cell(f"{model}, our step", FED_ROWS, training.fed),
        Cell("torchvision's reference", REFERENCE_ROWS, training.reference),
        Cell("python -m train", PROGRAM_ROWS, training.program),
        Cell(f"{sizes.head_model}, frozen", HEAD_ROWS, training.head),
        Cell("engine", ENGINE_ROWS, serving.engine),
        Cell("server", server_rows(sizes), serving.server),
        Cell("two processes", COLLECTIVE_ROWS, collective),
    )


def device(bench: Bench) -> Mapping[str, Figure]:
    sizes = bench.sizes
    words = ["-m", "bench.on_gpu.device", "--device", bench.device, "--side", sizes.product_side]
    found = json.loads(run("the device", *words, limit_s=sizes.limit_s).last_line())
    figures: dict[str, Figure] = found | {"cores": bench.cores, "limit": found["limit"] / 1e12}
    return figures


def collective(bench: Bench) -> Mapping[str, Figure]:
    gpus = int(bench.figures.get("gpus", 0))
    if bench.on_gpu and gpus < 2:
        raise LeftOut(f"NCCL needs two GPUs, and {gpus} is here")
    sizes = bench.sizes
    words = ["-m", "bench.on_gpu.collective", "--device", bench.device, "--values", sizes.reduced]
    found = json.loads(run("two processes", *words, limit_s=sizes.limit_s).last_line())
    return {
        "sum_ms": 1000 * found["seconds"],
        "sum_rate": 4 * sizes.reduced / found["seconds"] / 1e9,
    }


DEVICE_ROWS = {
    "device": "device",
    "gpus": "GPUs",
    "driver": "driver",
    "torch": "torch",
    "cores": "cores",
    "limit": "bfloat16 matrix products, TFLOP/s",
}
FED_ROWS = {
    "step": "our step on one batch (synthetic), photos/s",
    "jpegs": "our training from JPEGs, photos/s",
    "resident": "our training from resident photos, photos/s",
    "decoding": "decoding alone, photos/s",
    "jpegs_of_step": "from JPEGs / synthetic",
    "resident_of_step": "resident / synthetic",
    "share": "synthetic, as a share of the device's bfloat16 limit, %",
}
REFERENCE_ROWS = {
    "reference_f32": "torchvision's reference, f32, photos/s",
    "reference_amp": "torchvision's reference, float16 (--amp), photos/s",
    "jpegs_vs_reference": "ours from JPEGs / the reference",
    "resident_vs_reference": "ours resident / the reference",
}
PROGRAM_ROWS = {
    "first_epoch": "`python -m train`, first epoch, photos/s",
    "program": "`python -m train`, later epochs, photos/s",
    "train_peak": "its memory on the host at its peak, GiB",
}
HEAD_ROWS = {
    "head": "frozen head, 107 poses: seconds of the whole training",
    "head_first_epoch": "its first epoch, which decodes and computes the features, photos/s",
    "head_processor": "its cores in use, by its profile, %",
    "head_gpu": "its GPU in use, by its profile, %",
    "head_of_decoding": "its first epoch / decoding alone",
}
ENGINE_ROWS = {
    "engine": "engine alone at its best batch, photos/s",
    "engine_batch": "that batch",
    "engine_precision": "its precision",
    "engine_one": "engine alone, one photo at a time, photos/s",
    "engine_vs_half": "engine / plain torch in half precision",
    "engine_vs_f32": "engine / plain torch in f32",
    "engine_opened": "engine opened, s",
}
COLLECTIVE_ROWS = {
    "sum_ms": "two processes add up the gradients, ms",
    "sum_rate": "that is GB/s",
}


def server_rows(sizes: Sizes) -> dict[str, str]:
    rows = {"start": "server ready after, s", "memory": "server's memory on the host, GiB"}
    rows["gpu_memory"] = "server's memory on the GPU, GiB"
    for count in sizes.connections:
        rows[f"rate_{count}"] = f"{count} connections, requests/s"
        rows[f"p50_{count}"] = f"{count} connections, p50 ms"
        rows[f"p99_{count}"] = f"{count} connections, p99 ms"
    rows["server_of_engine"] = "server at its best / engine alone"
    return rows


if __name__ == "__main__":
    sys.exit(main())
