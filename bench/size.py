"""python -m bench.size MODEL PHOTOS: `launch size` against slipway-serve under a real load.

It measures the artifact on the cores of one instance, asks `launch size` for the rate that such
instances answer within a p99, and sends it: Poisson arrivals, each instance its own. Each instance
has its cores for itself, and the sender one more.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from artifact.photos.files import read_regular
from launch.queueing import highest_rate, p99_s, poisson
from launch.size import work_of
from runtime.load import Load, Request, arrive
from runtime.ports import free_port
from runtime.probes import ping, wait_ready

RATE_WITHIN = 0.2  # of the rate that was asked
P99_WITHIN = 0.3  # of the p99 that was simulated


def on_cores(cores: list[int], *words: str) -> list[str]:
    """A Python command that runs on these cores alone."""
    return ["taskset", "--cpu-list", ",".join(map(str, cores)), sys.executable, *words]


@contextmanager
def serving(model: Path, cores: list[int]) -> Iterator[str]:
    """The address of a slipway-serve of its own."""
    port = free_port()
    environment = {
        "SLIPWAY_MODEL_DIR": str(model),
        "SLIPWAY_THREADS": str(len(cores)),
        "SAGEMAKER_BIND_TO_PORT": str(port),
    }
    server = subprocess.Popen(
        on_cores(cores, "-m", "serve"),
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_ready(lambda: ping(url) == 200, server.poll)
        yield url
    finally:
        server.terminate()
        server.wait()


@contextmanager
def all_serving(model: Path, groups: list[list[int]]) -> Iterator[list[str]]:
    """One slipway-serve for each group of cores; their addresses."""
    if not groups:
        yield []
        return
    with serving(model, groups[0]) as url, all_serving(model, groups[1:]) as others:
        yield [url, *others]


def measured_speed(model: Path, photos: Path, cores: list[int]) -> dict[str, object]:
    """What `python -m artifact.engines.speed` says on these cores."""
    words = ["-m", "artifact.engines.speed", str(model), "--photos", str(photos)]
    found: dict[str, object] = json.loads(subprocess.check_output(on_cores(cores, *words)))
    return found


def load_one(url: str, bodies: list[bytes], moments: list[float]) -> Load:
    """The load of one instance; its first photos, which warm it, do not count."""
    around = itertools.cycle(bodies)

    def next_request() -> Request:
        return Request("photo", next(around))

    arrive(url, [0.0] * 8, next_request)
    return arrive(url, moments, next_request)


def run(options: argparse.Namespace) -> bool:
    """One comparison, printed; whether it lies within the bounds."""
    groups = [
        list(range(first, first + options.cores))
        for first in range(0, options.instances * options.cores, options.cores)
    ]
    paths = sorted(path for path in options.photos.rglob("*") if path.is_file())
    bodies = [read_regular(path) for path in paths[:40]]
    work = work_of(measured_speed(options.model, options.photos, groups[0]))
    rate = highest_rate(work, options.cores, options.p99_ms / 1000, poisson)
    expected_ms = 1000 * p99_s(work, options.cores, rate, poisson)
    moments = [moment for moment in poisson(rate) if moment < options.seconds]
    loads: list[Load] = []
    with all_serving(options.model, groups) as urls:
        threads = [
            threading.Thread(target=lambda url=url: loads.append(load_one(url, bodies, moments)))
            for url in urls
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    answered = sum(load.statuses.get(200, 0) / load.seconds for load in loads)
    p99_ms = max(1000 * load.percentile_s(0.99) for load in loads)
    asked = options.instances * rate
    print(
        f"bench-size: instances={options.instances} cores={options.cores} "
        f"decode_ms={work.decode_ms:.2f} engine_ms={work.engine_ms:.2f} "
        f"asked_rps={asked:.1f} answered_rps={answered:.1f} "
        f"simulated_p99_ms={expected_ms:.0f} measured_p99_ms={p99_ms:.0f}",
        flush=True,
    )
    rate_holds = abs(answered - asked) <= RATE_WITHIN * asked
    p99_holds = abs(p99_ms - expected_ms) <= P99_WITHIN * expected_ms
    return rate_holds and p99_holds


def main(arguments: list[str] | None = None) -> int:
    """Compare; 1 where the rate or the p99 lies outside the bounds, 2 without enough cores."""
    parser = argparse.ArgumentParser(prog="bench-size", description=__doc__)
    parser.add_argument("model", type=Path, help="a trained model's folder")
    parser.add_argument("photos", type=Path, help="a folder of photos")
    parser.add_argument("--instances", type=int, default=1)
    parser.add_argument("--cores", type=int, default=2, help="of each instance")
    parser.add_argument("--p99-ms", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=30.0, help="of the load")
    options = parser.parse_args(arguments)
    wanted = options.instances * options.cores + 1
    have = len(os.sched_getaffinity(0))
    if have < wanted:
        print(f"bench-size: {wanted} cores are needed, one of them to send; here are {have}")
        return 2
    return 0 if run(options) else 1


if __name__ == "__main__":
    sys.exit(main())
