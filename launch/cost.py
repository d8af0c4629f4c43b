"""The most that a recipe costs, before anything is started, by a replaceable price table."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import yaml

from launch.errors import LaunchError
from launch.recipe import Recipe, searches

PRICES = Path(__file__).with_name("prices.yaml")
# AWS's own number for a month, 365 days / 12.
HOURS_PER_MONTH = 730
# Assumed length of an invocation of a serverless endpoint.
INVOCATION_S = 0.1


@dataclass(frozen=True)
class Prices:
    """US dollars. instances: per hour, by type. spot_share: spot's part of that.

    volume_gb_month: per GB and month. serverless_gb_s, provisioned_gb_s: per GB and second.
    source: region and date, for people. other_regions: multiples of these prices, by region.
    """

    as_of: str
    region: str
    instances: dict[str, float]
    spot_share: float
    volume_gb_month: float
    serverless_gb_s: float
    provisioned_gb_s: float
    other_regions: dict[str, float] = field(default_factory=dict)
    source: str = ""

    def of_region(self, region: str) -> "Prices":
        """The prices of a region, estimated where the table is another's; source says so."""
        if region in ("", self.region):
            return replace(self, source=f"prices of {self.region} ({self.as_of})")
        if region not in self.other_regions:
            words = f"prices of {self.region} ({self.as_of}), not of {region}: give its own"
            return replace(self, source=f"{words} with --prices")
        factor = self.other_regions[region]
        words = f"prices of {region}, estimated: {factor:g} times {self.region}'s ({self.as_of})"
        return replace(
            self,
            region=region,
            source=words,
            instances={name: price * factor for name, price in self.instances.items()},
            volume_gb_month=self.volume_gb_month * factor,
            serverless_gb_s=self.serverless_gb_s * factor,
            provisioned_gb_s=self.provisioned_gb_s * factor,
        )

    def hour(self, instance_type: str) -> float:
        """US dollars per hour. LaunchError for a type that the table lacks."""
        if instance_type not in self.instances:
            raise LaunchError(
                f"the price table has no {instance_type}; "
                "add it, or give your own table with --prices"
            )
        return self.instances[instance_type]


@dataclass(frozen=True)
class Cost:
    """One line of the table: a step, US dollars, and what they are for."""

    step: str
    dollars: float
    reason: str


def prices_of(recipe: Recipe, path: Path = PRICES) -> Prices:
    """A table's prices for the recipe's region: its own, else the environment's, else the table's.

    LaunchError as read_prices.
    """
    region = recipe.sagemaker.region or os.environ.get("AWS_REGION", "")
    return read_prices(path).of_region(region or os.environ.get("AWS_DEFAULT_REGION", ""))


def read_prices(path: Path = PRICES) -> Prices:
    """A price table. LaunchError for a file that is not one."""
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        instances = {str(name): float(price) for name, price in found["instances"].items()}
        return Prices(
            as_of=str(found["as_of"]),
            region=str(found["region"]),
            instances=instances,
            spot_share=float(found["spot_share"]),
            volume_gb_month=float(found["volume_gb_month"]),
            serverless_gb_s=float(found["serverless_gb_s"]),
            provisioned_gb_s=float(found["provisioned_gb_s"]),
            other_regions=multiples(found.get("other_regions") or {}),
        )
    except OSError as error:
        raise LaunchError(f"the price table '{path}' cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise LaunchError(
            f"'{path}' is not a price table ({error!r}); launch/prices.yaml shows the form"
        ) from error


def multiples(given: dict[str, float]) -> dict[str, float]:
    return {str(region): float(factor) for region, factor in given.items()}


def machines_cost(
    prices: Prices, instance_type: str, count: int, volume_gb: int, spot: bool, seconds: float
) -> float:
    """US dollars of a training's machines and their volumes, for that time."""
    instance_hour = prices.hour(instance_type)
    if spot:
        instance_hour *= prices.spot_share
    # Spot makes instances cheaper, not their volumes.
    volume_hour = prices.volume_gb_month * volume_gb / HOURS_PER_MONTH
    return count * (instance_hour + volume_hour) * seconds / 3600


def training_cost(recipe: Recipe, prices: Prices, seconds: int, jobs: int = 1) -> float:
    """US dollars of a number of trainings, each of that length."""
    training = recipe.sagemaker.training
    return jobs * machines_cost(
        prices,
        training.instance_type,
        training.instance_count,
        training.volume_gb,
        training.spot,
        seconds,
    )


def endpoint_cost(recipe: Recipe, prices: Prices, instances: int = 0) -> float:
    """US dollars per month of the endpoint; of a serverless one by the expected invocations."""
    endpoint = recipe.sagemaker.endpoint
    if endpoint.kind != "serverless":
        count = instances or endpoint.instance_count
        return count * prices.hour(endpoint.instance_type) * HOURS_PER_MONTH
    # Serverless is billed by memory and time: GB-seconds.
    gigabytes = endpoint.memory_mb / 1024
    busy_s = endpoint.expected_invocations * INVOCATION_S
    provisioned_s = endpoint.provisioned_concurrency * 3600 * HOURS_PER_MONTH
    return gigabytes * (busy_s * prices.serverless_gb_s + provisioned_s * prices.provisioned_gb_s)


def batch_cost(recipe: Recipe, prices: Prices) -> float:
    """US dollars of one transform job."""
    batch = recipe.sagemaker.batch
    return batch.instance_count * prices.hour(batch.instance_type) * batch.expected_s / 3600


def tuning_jobs(recipe: Recipe) -> dict[str, int]:
    """The number of trainings that each search of the recipe may start, by its name."""
    return {search.name: search.budgets.jobs for search in searches(recipe)}


def most(recipe: Recipe, prices: Prices, step: str) -> float:
    """The most that `training` or all of `tuning` can cost: every job runs for max_run_s."""
    jobs = 1
    if step == "tuning":
        jobs = sum(tuning_jobs(recipe).values())
    return training_cost(recipe, prices, recipe.sagemaker.training.max_run_s, jobs)


def check_budget(recipe: Recipe, step: str, over: bool, prices: Prices | None = None) -> None:
    """LaunchError when the step could cost more than the recipe's budget."""
    budget = recipe.sagemaker.budget_usd
    if not budget or over:
        return
    dollars = most(recipe, prices or prices_of(recipe), step)
    if dollars > budget:
        raise LaunchError(
            f"the {step} may cost up to {dollars:.2f} USD, "
            f"and sagemaker.budget_usd is {budget:.2f}; "
            "lower max_run_s or the machines, or start it with --over-budget"
        )


def cost(
    recipe: Recipe, table: Path, print_line: Callable[[str], None], as_json: bool = False
) -> int:
    """Print the most that the recipe costs, by a price table. Needs no credentials, no network."""
    prices = prices_of(recipe, table)
    lines = cost_lines(recipe, prices)
    if as_json:
        of = {"region": prices.region, "prices_as_of": prices.as_of}
        for line in lines:
            print_line(json.dumps({**asdict(line), **of}))
        return 0
    for line in lines:
        print_line(f"{line.step:34} {line.dollars:10.2f} USD  {line.reason}")
    print_line(f"{prices.source}; without transfer, S3, logs and taxes")
    return 0


def cost_lines(recipe: Recipe, prices: Prices) -> list[Cost]:
    """All steps, and their total."""
    lines = [
        *preparation_lines(recipe, prices),
        *training_lines(recipe, prices),
        *tuning_lines(recipe, prices),
        *endpoint_lines(recipe, prices),
        batch_line(recipe, prices),
    ]
    endpoint = recipe.sagemaker.endpoint
    instances = max(endpoint.instance_count, endpoint.max_instances)
    total = (
        sum(line.dollars for line in preparation_lines(recipe, prices))
        + most(recipe, prices, "training")
        + most(recipe, prices, "tuning")
        + endpoint_cost(recipe, prices, instances)
        + batch_cost(recipe, prices)
    )
    reason = "all of it once, and a month of the endpoint"
    return [*lines, Cost("total, at most", total, reason)]


def preparation_lines(recipe: Recipe, prices: Prices) -> list[Cost]:
    """Both jobs of `launch prepare`; none where the recipe names no photos for it."""
    if not recipe.prepare.photos:
        return []
    machines = recipe.sagemaker.preparation
    of = f"{machines.max_run_s} s on {machines.instance_count} x {machines.instance_type}"
    dollars = machines_cost(
        prices,
        machines.instance_type,
        machines.instance_count + 1,
        machines.volume_gb,
        False,
        machines.max_run_s,
    )
    return [Cost("prepare, at most", dollars, f"{of}, then on one")]


def training_lines(recipe: Recipe, prices: Prices) -> list[Cost]:
    """The training, as expected and at most."""
    training = recipe.sagemaker.training
    lines = []
    if training.expected_s:
        expected = training_cost(recipe, prices, training.expected_s)
        lines.append(Cost("training, as expected", expected, f"{training.expected_s} s"))
    machines = f"{training.instance_count} x {training.instance_type}"
    if training.spot:
        machines += " spot"
    limit = f"{training.max_run_s} s on {machines}"
    return [*lines, Cost("training, at most", most(recipe, prices, "training"), limit)]


def tuning_lines(recipe: Recipe, prices: Prices) -> list[Cost]:
    """Each search, as expected and at most: the same reckoning as that of `check`."""
    training = recipe.sagemaker.training
    lines = []
    for name, jobs in tuning_jobs(recipe).items():
        if training.expected_s:
            dollars = training_cost(recipe, prices, training.expected_s, jobs)
            reason = f"{jobs} trainings of {training.expected_s} s"
            lines.append(Cost(f"tuning {name}, as expected", dollars, reason))
        dollars = training_cost(recipe, prices, training.max_run_s, jobs)
        reason = f"{jobs} trainings of {training.max_run_s} s"
        lines.append(Cost(f"tuning {name}, at most", dollars, reason))
    return lines


def endpoint_lines(recipe: Recipe, prices: Prices) -> list[Cost]:
    """The endpoint for a month, and with all instances that it may scale to."""
    endpoint = recipe.sagemaker.endpoint
    step = f"endpoint ({endpoint.kind}), per month"
    dollars = endpoint_cost(recipe, prices)
    if endpoint.kind == "serverless":
        return [Cost(step, dollars, f"{endpoint.expected_invocations} invocations")]
    hosts = f"{endpoint.instance_count} x {endpoint.instance_type}, day and night"
    lines = [Cost(step, dollars, hosts)]
    if endpoint.max_instances > endpoint.instance_count:
        dollars = endpoint_cost(recipe, prices, endpoint.max_instances)
        hosts = f"{endpoint.max_instances} x {endpoint.instance_type}"
        lines.append(Cost("endpoint, scaled out all month", dollars, hosts))
    if endpoint.min_instances == 0:
        lines.append(Cost("endpoint, asleep all month", 0.0, "no request, no instance"))
    return lines


def batch_line(recipe: Recipe, prices: Prices) -> Cost:
    batch = recipe.sagemaker.batch
    machines = f"{batch.instance_count} x {batch.instance_type}"
    reason = f"{batch.expected_s} s on {machines}"
    return Cost("batch, as expected", batch_cost(recipe, prices), reason)
