"""The most that a recipe costs, before anything is started, by a replaceable price table."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
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
    """

    as_of: str
    region: str
    instances: dict[str, float]
    spot_share: float
    volume_gb_month: float
    serverless_gb_s: float
    provisioned_gb_s: float

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
        )
    except OSError as error:
        raise LaunchError(f"the price table '{path}' cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise LaunchError(
            f"'{path}' is not a price table ({error!r}); launch/prices.yaml shows the form"
        ) from error


def training_cost(recipe: Recipe, prices: Prices, seconds: int, jobs: int = 1) -> float:
    """US dollars of a number of trainings, each of that length."""
    training = recipe.sagemaker.training
    instance_hour = prices.hour(training.instance_type)
    if training.spot:
        instance_hour *= prices.spot_share
    # Spot makes instances cheaper, not their volumes.
    volume_hour = prices.volume_gb_month * training.volume_gb / HOURS_PER_MONTH
    hours = seconds / 3600
    return jobs * training.instance_count * (instance_hour + volume_hour) * hours


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
    dollars = most(recipe, prices or read_prices(), step)
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
    prices = read_prices(table)
    region = recipe.sagemaker.region
    if region and region != prices.region and not as_json:
        print_line(
            f"cost: the prices are of {prices.region}; {region} differs, give its own with --prices"
        )
    lines = [
        *training_lines(recipe, prices),
        *endpoint_lines(recipe, prices),
        batch_line(recipe, prices),
    ]
    if as_json:
        for line in lines:
            print_line(json.dumps({**asdict(line), "region": prices.region}))
        return 0
    for line in lines:
        print_line(f"{line.step:34} {line.dollars:10.2f} USD  {line.reason}")
    print_line(f"prices of {prices.region} ({prices.as_of}), without transfer, S3, logs and taxes")
    return 0


def training_lines(recipe: Recipe, prices: Prices) -> list[Cost]:
    """The training and each search."""
    training = recipe.sagemaker.training
    lines = []
    if training.expected_s:
        expected = training_cost(recipe, prices, training.expected_s)
        lines.append(Cost("training, as expected", expected, f"{training.expected_s} s"))
    machines = f"{training.instance_count} x {training.instance_type}"
    if training.spot:
        machines += " spot"
    limit = f"{training.max_run_s} s on {machines}"
    lines.append(Cost("training, at most", most(recipe, prices, "training"), limit))
    # The expected length is closer to a search's many trainings than max_run_s.
    seconds = training.expected_s or training.max_run_s
    for name, jobs in tuning_jobs(recipe).items():
        dollars = training_cost(recipe, prices, seconds, jobs)
        lines.append(Cost(f"tuning {name}, at most", dollars, f"{jobs} trainings"))
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
    return lines


def batch_line(recipe: Recipe, prices: Prices) -> Cost:
    batch = recipe.sagemaker.batch
    machines = f"{batch.instance_count} x {batch.instance_type}"
    reason = f"{batch.expected_s} s on {machines}"
    return Cost("batch, as expected", batch_cost(recipe, prices), reason)
