"""Cells of serving: the engine alone, and the server under load by many connections at once."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.on_gpu.cells import Bench, Figure, LeftOut
from bench.on_gpu.training import model_job
from bench.training.jobs import run
from runtime.load import Load, Request, lasting, load
from runtime.ports import free_port
from runtime.probes import ping, wait_ready
from runtime.processes import below

BODIES = 64  # photos that are sent again and again


def engine(bench: Bench) -> Mapping[str, Figure]:
    """Photos/s of the engine at its best batch, and how much plain torch gives there."""
    sizes = bench.sizes
    words = ["-m", "bench.on_gpu.engine", _model(bench), "--device", bench.device]
    words += ["--max-batch", sizes.max_batch, "--turns", sizes.turns, "--seconds", sizes.turn_s]
    found = json.loads(run("the engine alone", *words, limit_s=sizes.limit_s).last_line())
    rates = found["rates"]
    best = max(rates, key=lambda batch: float(rates[batch]["engine"]))
    return {
        "engine": rates[best]["engine"],
        "engine_batch": float(best),
        "engine_precision": found["precision"],
        "engine_one": rates["1"]["engine"],
        "engine_vs_half": rates[best]["engine"] / rates[best]["plain_half"],
        "engine_vs_f32": rates[best]["engine"] / rates[best]["plain_f32"],
        "engine_opened": found["opened_s"],
    }


def server(bench: Bench) -> Mapping[str, Figure]:
    """Requests/s and latencies by connections; the server's start and its memory."""
    sizes = bench.sizes
    photos = sorted((model_job(bench) / "input" / "data" / "train").rglob("*.jpg"))[:BODIES]
    requests = [Request(path.name, path.read_bytes()) for path in photos]
    found: dict[str, Figure] = {}
    before = _gpu_bytes()
    with _serving(bench) as (url, process, start_s):
        found["start"] = start_s
        for connections in sizes.connections:
            load(url, lasting(requests, sizes.load_s / 5), connections)
            result = load(url, lasting(requests, sizes.load_s), connections)
            found |= _figures(result, connections)
        found["memory"] = _memory_bytes(process.pid) / 2**30
        after = _gpu_bytes()
        if before is not None and after is not None:
            found["gpu_memory"] = (after - before) / 2**30
    most = max(float(found[f"rate_{connections}"]) for connections in sizes.connections)
    if "engine" in bench.figures:
        found["server_of_engine"] = most / float(bench.figures["engine"])
    return found


def _figures(result: Load, connections: int) -> dict[str, Figure]:
    """RuntimeError where an answer was not 200."""
    if set(result.statuses) != {200}:
        raise RuntimeError(f"{connections} connections: statuses {result.statuses}")
    return {
        f"rate_{connections}": result.rate,
        f"p50_{connections}": 1000 * result.percentile_s(0.5),
        f"p99_{connections}": 1000 * result.percentile_s(0.99),
    }


@contextmanager
def _serving(bench: Bench) -> Iterator[tuple[str, "subprocess.Popen[bytes]", float]]:
    """A server's address, its process, and the seconds until it was ready."""
    port = free_port()
    environment = {
        "SLIPWAY_MODEL_DIR": str(_model(bench)),
        "SLIPWAY_DEVICE": bench.device,
        "SAGEMAKER_BIND_TO_PORT": str(port),
    }
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "serve"],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_ready(lambda: ping(url) == 200, process.poll)
        yield url, process, time.perf_counter() - started
    finally:
        process.terminate()
        process.wait()


def _model(bench: Bench) -> Path:
    """The folder of the model that `program` trained. LeftOut where there is none."""
    model = model_job(bench) / "model"
    if not (model / "model.json").is_file():
        raise LeftOut("python -m train left no model to serve")
    return model


def _memory_bytes(pid: int) -> int:
    """Of a process and those below it, each shared page divided among its users."""
    total = 0
    for number in below(pid):
        try:
            lines = Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has just ended
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def _gpu_bytes() -> int | None:
    """Memory in use on the first GPU; None without one."""
    import pynvml

    try:
        pynvml.nvmlInit()
        used: int = pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByIndex(0)).used
    except pynvml.NVMLError:
        return None
    return used
