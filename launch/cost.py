"""What a recipe costs at most, before anything is started, from a price table that the user can replace."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from launch.errors import LaunchError
from launch.recipe import Recipe, searches

PRICES = Path(__file__).with_name("prices.yaml")
HOURS_A_MONTH = 730


@dataclass(frozen=True)
class Prices:
    """US dollars. instances: an hour, by type; spot_share: of that, for spot; volume: a GB and month; serverless: a GB and second."""

    as_of: str
    region: str
    instances: dict[str, float]
    spot_share: float
    volume_gb_month: float
    serverless_gb_s: float
    provisioned_gb_s: float

    def hour(self, instance_type: str) -> float:
        if instance_type not in self.instances:
            raise LaunchError(
                f"the price table has no {instance_type}; add it, or give your own table with --prices"
            )
        return self.instances[instance_type]


def read_prices(path: Path = PRICES) -> Prices:
    """A price table. LaunchError when it is not one."""
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        return Prices(
            str(found["as_of"]),
            str(found["region"]),
            {str(name): float(price) for name, price in found["instances"].items()},
            *(
                float(found[name])
                for name in ("spot_share", "volume_gb_month", "serverless_gb_s", "provisioned_gb_s")
            ),
        )
    except OSError as error:
        raise LaunchError(f"the price table '{path}' cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise LaunchError(
            f"'{path}' is no price table ({error!r}); launch/prices.yaml shows the form"
        ) from error


def training_cost(recipe: Recipe, prices: Prices, seconds: int, jobs: int = 1) -> float:
    """US dollars of so many trainings of so many seconds each."""
    training = recipe.settings.training
    share = prices.spot_share if training.spot else 1.0
    machine = (
        prices.hour(training.instance_type) * share
        + prices.volume_gb_month * training.volume_gb / HOURS_A_MONTH
    )
    return jobs * training.instance_count * machine * seconds / 3600


def endpoint_cost(recipe: Recipe, prices: Prices, instances: int = 0) -> float:
    """US dollars a month of the endpoint; of serverless for the expected invocations, at a tenth of a second each."""
    endpoint = recipe.settings.endpoint
    if endpoint.kind != "serverless":
        return (
            (instances or endpoint.instance_count)
            * prices.hour(endpoint.instance_type)
            * HOURS_A_MONTH
        )
    gigabytes = endpoint.memory_mb / 1024
    return gigabytes * (
        endpoint.expected_invocations * 0.1 * prices.serverless_gb_s
        + endpoint.provisioned_concurrency * prices.provisioned_gb_s * 3600 * HOURS_A_MONTH
    )


def batch_cost(recipe: Recipe, prices: Prices) -> float:
    batch = recipe.settings.batch
    return batch.instance_count * prices.hour(batch.instance_type) * batch.expected_s / 3600


def tuning_jobs(recipe: Recipe) -> dict[str, int]:
    """How many trainings each search of the recipe may start, by its name."""
    return {search.name: search.budgets.jobs for search in searches(recipe)}


def most(recipe: Recipe, prices: Prices, what: str) -> float:
    """The most that `training` or all of `tuning` can cost: every job runs for max_run_s."""
    return training_cost(
        recipe,
        prices,
        recipe.settings.training.max_run_s,
        sum(tuning_jobs(recipe).values()) if what == "tuning" else 1,
    )


def check_budget(recipe: Recipe, what: str, over: bool, prices: Prices | None = None) -> None:
    """LaunchError when that could cost more than the recipe's budget."""
    budget = recipe.settings.budget_usd
    if not budget or over:
        return
    cost = most(recipe, prices or read_prices(), what)
    if cost > budget:
        raise LaunchError(
            f"the {what} may cost up to {cost:.2f} USD, and sagemaker.budget_usd is {budget:.2f}; lower max_run_s or the machines, "
            "or start it with --over-budget"
        )


def cost(recipe: Recipe, table: Path, print_line: Callable[[str], None]) -> int:
    """Print what the recipe costs at most, by a price table; needs no credentials and no network."""
    settings, prices = recipe.settings, read_prices(table)
    training, endpoint = settings.training, settings.endpoint
    if settings.region and settings.region != prices.region:
        print_line(
            f"cost: the prices are of {prices.region}; {settings.region} differs, give its own with --prices"
        )
    lines = []
    if training.expected_s:
        lines.append(
            (
                "training, as expected",
                training_cost(recipe, prices, training.expected_s),
                f"{training.expected_s} s",
            )
        )
    machines = (
        f"{training.instance_count} x {training.instance_type}{' spot' if training.spot else ''}"
    )
    lines.append(
        (
            "training, at most",
            most(recipe, prices, "training"),
            f"{training.max_run_s} s on {machines}",
        )
    )
    for name, jobs in tuning_jobs(recipe).items():
        lines.append(
            (
                f"tuning {name}, at most",
                training_cost(recipe, prices, training.expected_s or training.max_run_s, jobs),
                f"{jobs} trainings",
            )
        )
    hosts = f"{endpoint.instance_count} x {endpoint.instance_type}, day and night"
    what = (
        f"{endpoint.expected_invocations} invocations" if endpoint.kind == "serverless" else hosts
    )
    lines.append((f"endpoint ({endpoint.kind}), a month", endpoint_cost(recipe, prices), what))
    if endpoint.max_instances > endpoint.instance_count and endpoint.kind != "serverless":
        lines.append(
            (
                "endpoint, scaled out all month",
                endpoint_cost(recipe, prices, endpoint.max_instances),
                f"{endpoint.max_instances} x {endpoint.instance_type}",
            )
        )
    lines.append(
        (
            "batch, as expected",
            batch_cost(recipe, prices),
            f"{settings.batch.expected_s} s on {settings.batch.instance_count} x {settings.batch.instance_type}",
        )
    )
    for name, dollars, why in lines:
        print_line(f"{name:34} {dollars:10.2f} USD  {why}")
    print_line(f"prices of {prices.region} ({prices.as_of}), without transfer, S3, logs and taxes")
    return 0
