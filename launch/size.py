"""The command size: how many machines of which type an endpoint needs for a rate and a p99."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from artifact.archives.tar_archive import read_member
from artifact.engines.speed import SPEED_FIELD
from artifact.model import DESCRIPTION_BYTES, DESCRIPTION_FILE
from artifact.text.json_text import read_json
from launch.cost import HOURS_PER_MONTH, Prices, prices_of
from launch.errors import LaunchError
from launch.gpu_hosts import is_gpu
from launch.queueing import Arrivals, Work, bursts, highest_rate, p99_s, poisson
from launch.recipe import Recipe

# Of a core, for a photo's HTTP, JSON and queues. bench/RESULTS.md: slipway-serve answers 94 % of
# what its bare engine does, at 53 ms of a core per photo.
OTHER_MS = 3.0
# Scaling keeps to this part of what a machine can: a new one takes minutes, and the others carry
# its share meanwhile.
TARGET_SHARE = 0.8
# Virtual cores by the size in a type's name; a larger one has 4 for each "x" of an xlarge.
CORES = {"medium": 2, "large": 2, "xlarge": 4}
BURSTABLE = "ml.t"  # their full speed ends with their credits


@dataclass(frozen=True)
class Size:
    """What one type needs. p99 in ms. rate: requests per second that a machine takes in bursts."""

    type: str
    cores: int
    machines: int
    p99_ms: float
    machines_in_bursts: int
    p99_in_bursts_ms: float
    dollars_per_month: float
    rate: float

    @property
    def target(self) -> int:
        """Requests per minute and machine, for `sagemaker.endpoint.target`."""
        return int(TARGET_SHARE * 60 * self.rate)


@dataclass(frozen=True)
class Wanted:
    """The rate of all requests, per second, and the p99 of their answers, in ms."""

    rps: float
    p99_ms: float


def size(
    recipe: Recipe,
    wanted: Wanted,
    speed: dict[str, Any],
    prices: Prices,
    print_line: Callable[[str], None],
    as_json: bool = False,
) -> int:
    """Print how many machines of each type answer a rate within a p99, and what they cost.

    The artifact's own measured times are simulated, without AWS.
    """
    work = work_of(speed)
    sizes = sizes_of(work, wanted, prices)
    if as_json:
        for one in sizes:
            print_line(json.dumps({**asdict(one), "target": one.target}))
        return 0
    if not sizes:
        raise LaunchError(
            f"no type answers within {wanted.p99_ms:g} ms: a photo alone takes "
            f"{1000 * work.alone_s(max(CORES.values())):.0f} ms on {max(CORES.values())} cores "
            "as fast as those that measured it; allow more, or train a smaller model"
        )
    print_line(f"{'type':16} cores  machines  p99 ms  in bursts  p99 ms  USD per month")
    for one in sizes:
        print_line(
            f"{one.type:16} {one.cores:5}  {one.machines:8}  {one.p99_ms:6.0f}  "
            f"{one.machines_in_bursts:9}  {one.p99_in_bursts_ms:6.0f}  "
            f"{one.dollars_per_month:13.2f}"
        )
    for line in advice(recipe, sizes[0], speed, prices):
        print_line(line)
    return 0


def sizes_of(work: Work, wanted: Wanted, prices: Prices) -> list[Size]:
    """All types of the price table without a GPU that can do it, the cheapest in bursts first."""
    rates: dict[int, tuple[float, float]] = {}
    found = []
    for name in prices.instances:
        cores = cores_of(name)
        if not cores or is_gpu(name) or name.startswith(BURSTABLE):
            continue
        if cores not in rates:
            limit_s = wanted.p99_ms / 1000
            rates[cores] = (
                highest_rate(work, cores, limit_s, poisson),
                highest_rate(work, cores, limit_s, bursts),
            )
        if min(rates[cores]) > 0:
            found.append(_size(name, cores, work, wanted, rates[cores], prices))
    return sorted(found, key=lambda one: one.dollars_per_month)


def _size(
    name: str,
    cores: int,
    work: Work,
    wanted: Wanted,
    rates: tuple[float, float],
    prices: Prices,
) -> Size:
    steady, p99_ms = _machines(work, cores, wanted, rates[0], poisson)
    in_bursts, p99_in_bursts_ms = _machines(work, cores, wanted, rates[1], bursts)
    dollars = in_bursts * prices.hour(name) * HOURS_PER_MONTH
    return Size(name, cores, steady, p99_ms, in_bursts, p99_in_bursts_ms, dollars, rates[1])


def _machines(
    work: Work, cores: int, wanted: Wanted, rate: float, arrivals: Arrivals
) -> tuple[int, float]:
    """How many machines share the requests, and their p99 in ms."""
    count = math.ceil(wanted.rps / rate)
    return count, 1000 * p99_s(work, cores, wanted.rps / count, arrivals)


def cores_of(instance_type: str) -> int:
    """Virtual cores of a type, by its name; 0 for a name of another form."""
    last = instance_type.rpartition(".")[2]
    factor = last.removesuffix("xlarge")
    if factor.isdigit():
        return 4 * int(factor)
    return CORES.get(last, 0)


def work_of(speed: dict[str, Any]) -> Work:
    """A photo's work by an artifact's measured times. LaunchError where they are no times."""
    for name in ("decode_ms", "engine_ms"):
        if type(speed.get(name)) not in (int, float):  # a bool is none
            raise LaunchError(
                f"the measured times have no number for {name} (found {speed.get(name)!r}); "
                "`python -m artifact.engines.speed FOLDER` measures an artifact"
            )
    work = Work(speed["decode_ms"], speed["engine_ms"], OTHER_MS)
    if not (0 < work.decode_ms < math.inf and 0 < work.engine_ms < math.inf):
        raise LaunchError("the measured times must be above 0 ms")
    return work


def advice(recipe: Recipe, best: Size, speed: dict[str, Any], prices: Prices) -> list[str]:
    """The recipe's lines for the cheapest type, what is not known, and how to measure it there."""
    most = 2 * best.machines_in_bursts
    return [
        "",
        f"in {recipe.path}, for `deploy`:",
        "  sagemaker:",
        "    endpoint:",
        f"      instance_type: {best.type}",
        f"      instance_count: {best.machines_in_bursts}",
        f"      min_instances: {best.machines_in_bursts}",
        f"      max_instances: {most}",
        f"      target: {best.target}  # requests per minute and machine",
        "",
        f"measured: {speed['decode_ms']:.1f} ms to decode a photo and {speed['engine_ms']:.1f} ms "
        f"to run the network in {speed.get('precision', 'an unknown precision')}, of one core of "
        f"{speed.get('processor') or 'an unknown processor'}",
        "not known: the speed of another type's processor, and how your photos arrive. On a "
        "machine of that type, measure and size again:",
        "  docker run --rm -v MODEL_FOLDER:/opt/ml/model:ro --entrypoint python SERVE_IMAGE "
        "-m artifact.engines.speed /opt/ml/model >speed.json",
        f"  launch size {recipe.path} --speed speed.json …",
        f"{prices.source}",
    ]


def read_speed(model: Path, file: Path | None) -> dict[str, Any]:
    """The measured times: of a file, or of an artifact's folder or archive. LaunchError without."""
    if file is not None:
        found = _json(file, lambda: file.read_bytes())
    else:
        found = _json(model, lambda: _description(model)).get("provenance", {}).get(SPEED_FIELD)
    if not isinstance(found, dict):
        raise LaunchError(
            f"'{file or model}' holds no measured times: it was trained without validation and "
            "test photos, or by an earlier version; measure it: "
            f"python -m artifact.engines.speed {model} >speed.json, then give --speed speed.json"
        )
    return found


def _json(path: Path, read: Callable[[], bytes]) -> dict[str, Any]:
    try:
        data = read()
    except (OSError, ValueError, KeyError) as error:
        raise LaunchError(
            f"'{path}' cannot be read ({error}); name an artifact's folder or its model.tar.gz "
            "with --model"
        ) from error
    try:
        found = read_json(data)
    except ValueError as error:
        raise LaunchError(f"'{path}' is not readable JSON ({error})") from error
    if not isinstance(found, dict):
        raise LaunchError(f"'{path}' holds no JSON object")
    return found


def _description(model: Path) -> bytes:
    """The bytes of model.json in an artifact's folder or archive."""
    if model.is_dir():
        return (model / DESCRIPTION_FILE).read_bytes()
    found = read_member(model, DESCRIPTION_FILE, DESCRIPTION_BYTES)
    if found is None:
        raise KeyError(DESCRIPTION_FILE)
    return found


def run_size(options: Any, recipe: Recipe, print_line: Callable[[str], None]) -> int:
    """The command with its options, as argparse gives them."""
    speed = read_speed(options.model or options.out / "ml" / "model", options.speed)
    wanted = Wanted(options.rps, options.p99_ms)
    return size(recipe, wanted, speed, prices_of(recipe, options.prices), print_line, options.json)
