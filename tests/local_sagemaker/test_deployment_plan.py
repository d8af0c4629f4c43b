"""A DeploymentConfig as a plan, and the steps of a plan on instances that are only counted."""

from typing import Any

import pytest

from local_sagemaker.contract import ApiError
from local_sagemaker.hosting.deployed import Deployed, Route, retained
from local_sagemaker.hosting.deployment_plan import ALL_AT_ONCE, Plan, plan_of
from local_sagemaker.hosting.rollout import Rollout, UpdateStopped
from local_sagemaker.hosting.variants import NotHealthy
from tests.support.hosting import blue_green, rolling, variant


def entries(count: int = 4) -> list[dict[str, Any]]:
    return [variant(InitialInstanceCount=count)]


def size(value: int, kind: str = "CAPACITY_PERCENT") -> dict[str, Any]:
    return {"Type": kind, "Value": value}


THIRDS = pytest.approx((1 / 3, 2 / 3, 1.0))


@pytest.mark.parametrize(
    "config, count, shares",
    [
        (None, 1, (1.0,)),
        (blue_green("ALL_AT_ONCE"), 1, (1.0,)),
        (blue_green("CANARY", CanarySize=size(10)), 4, (0.1, 1.0)),
        (blue_green("CANARY", CanarySize=size(1, "INSTANCE_COUNT")), 4, (0.25, 1.0)),
        (blue_green("LINEAR", LinearStepSize=size(50)), 2, (0.5, 1.0)),
        (blue_green("LINEAR", LinearStepSize=size(1, "INSTANCE_COUNT")), 3, THIRDS),
        (blue_green("LINEAR", LinearStepSize=size(30)), 4, pytest.approx((0.3, 0.6, 0.9, 1.0))),
        (rolling(MaximumBatchSize=size(1, "INSTANCE_COUNT")), 2, (0.5, 1.0)),
    ],
)
def test_the_shares_of_an_update(config, count, shares):
    assert plan_of(config, entries(count)).shares == shares


@pytest.mark.parametrize(
    "config, count, sentence",
    [
        (blue_green("CANARY"), 4, "CANARY must have CanarySize"),
        (blue_green("LINEAR", CanarySize=size(10)), 4, "CanarySize is not for .* LINEAR"),
        (blue_green("CANARY", CanarySize=size(60)), 4, "at most 50% of the instances; found 60"),
        (blue_green("CANARY", CanarySize=size(3, "INSTANCE_COUNT")), 4, "at most 50%"),
        (blue_green("CANARY", CanarySize=size(5, "INSTANCE_COUNT")), 4, "is 5 .*, and there are 4"),
        (blue_green("CANARY", CanarySize=size(50)), 1, "needs two instances or more"),
        (blue_green("LINEAR", LinearStepSize=size(5)), 4, "10% to 50% of the instances"),
        (rolling(MaximumBatchSize=size(4)), 4, "5% to 50%"),
        ({**blue_green("ALL_AT_ONCE"), **rolling(MaximumBatchSize=size(50))}, 4, "not both"),
        (
            blue_green("ALL_AT_ONCE", wait_s=600, MaximumExecutionTimeoutInSeconds=600),
            1,
            "must be more than the time that the update waits, 600 s",
        ),
    ],
)
def test_what_is_no_plan_is_refused_in_one_sentence(config, count, sentence):
    with pytest.raises(ApiError, match=sentence):
        plan_of(config, entries(count))


def test_a_serverless_variant_is_not_moved_in_parts():
    config = rolling(MaximumBatchSize=size(50))
    with pytest.raises(ApiError, match="serverless variant is updated all at once"):
        plan_of(config, [{"VariantName": "all", "ServerlessConfig": {"MaxConcurrency": 1}}])


class Counted:
    """A variant whose instances are numbers. most: as many get ready."""

    def __init__(self, count: int = 0, most: int = 99) -> None:
        self.instances = list(range(count))
        self.container = {"Image": "image"}
        self._most = most

    def scale(self, count: int) -> None:
        if count > self._most:
            raise NotHealthy("did not pass the ping health check.")
        self.instances = list(range(count))

    def replace_dead(self) -> None: ...

    def stop(self) -> None:
        self.instances = []


class Live:
    """An endpoint that notes its steps: the share that moved, old and new instances then."""

    endpoint, region = "live", "eu-west-1"

    def __init__(self, old: Deployed) -> None:
        self.ended = False
        self.steps: list[tuple[float, ...]] = []
        self.statuses: list[str] = []
        self._route = Route(old)

    @property
    def route(self) -> Route:
        return self._route

    @route.setter
    def route(self, route: Route) -> None:
        if route.incoming:
            counts = [sum(side.counts().values()) for side in (route.serving, route.incoming)]
            self.steps.append((round(route.share, 2), *counts))
        self._route = route

    def heal(self, deployed: Deployed) -> None: ...

    def note(self, **fields: Any) -> None:
        self.statuses += [fields[name] for name in fields if name == "EndpointStatus"]


def sides(count: int, most: int = 99) -> tuple[Live, Deployed]:
    def deployed(name: str, one: Counted) -> Deployed:
        config = {"EndpointConfigName": name, "ProductionVariants": entries(count)}
        return Deployed(config, {"all": one})  # type: ignore[dict-item]

    return Live(deployed("old", Counted(count))), deployed("new", Counted(0, most))


HALVES = (0.5, 1.0)


@pytest.mark.parametrize(
    "plan, count, steps",
    [
        (ALL_AT_ONCE, 1, [(1.0, 1, 1)]),
        (Plan(shares=(0.25, 1.0)), 4, [(0.25, 4, 4), (1.0, 4, 4)]),
        (Plan(shares=HALVES, rolling=True), 4, [(0.5, 4, 2), (1.0, 2, 4)]),
        # an old instance is there for as long as it has a share of the requests
        (Plan(shares=HALVES, rolling=True), 3, [(0.5, 3, 2), (1.0, 2, 3)]),
    ],
)
def test_the_steps_of_an_update(plan, count, steps):
    live, new = sides(count)
    Rollout(live, new, plan).run()
    assert live.steps == steps
    assert sum(new.counts().values()) == count


@pytest.mark.parametrize("back", [(1.0,), HALVES])
def test_a_rolling_update_that_fails_brings_all_old_instances_back(back):
    live, new = sides(4, most=2)
    with pytest.raises(NotHealthy, match="production variant all did not pass the ping"):
        Rollout(live, new, Plan(shares=HALVES, rolling=True, back=back)).run()
    assert live.statuses == ["RollingBack"]
    assert live.route == Route(live.route.serving)
    assert live.route.serving.counts() == {"all": 4}
    assert new.counts() == {"all": 0}


def test_old_instances_that_do_not_come_back_are_said():
    live, new = sides(4, most=2)
    old = live.route.serving.variants["all"]
    old._most = 3  # type: ignore[attr-defined]
    with pytest.raises(UpdateStopped, match="not all old instances came back") as caught:
        Rollout(live, new, Plan(shares=HALVES, rolling=True)).run()
    assert caught.value.status == "UpdateRollbackFailed"


def test_an_update_has_a_limit_of_time():
    live, new = sides(2)
    with pytest.raises(UpdateStopped, match="longer than MaximumExecutionTimeoutInSeconds, -1 s"):
        Rollout(live, new, Plan(shares=HALVES, limit_s=-1)).run()
    assert new.counts() == {"all": 0}


def test_the_requests_are_shared_and_a_named_variant_is_found_on_either_side():
    live, new = sides(1)
    route = Route(live.route.serving, new, share=0.3)
    count = sum(
        route.choose("live", None).config["EndpointConfigName"] == "new" for _ in range(2000)
    )
    assert 450 < count < 750  # 7 standard deviations around 600
    new.config["ProductionVariants"][0]["VariantName"] = "other"
    new.variants["other"] = new.variants["all"]
    assert Route(live.route.serving, new).choose("live", "other").name == "other"
    with pytest.raises(ApiError, match="Variant none not found for Endpoint live"):
        route.choose("live", "none")


def test_a_serverless_variant_gets_another_limit():
    entry = {
        "VariantName": "all",
        "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
    }
    one: Any = Counted(1)
    deployed = Deployed({"ProductionVariants": [entry]}, {"all": one})
    deployed.limit("all", {})
    chosen = deployed.choose(None)
    assert chosen.slot is not None
    assert chosen.slot.acquire(blocking=False)
    assert not chosen.slot.acquire(blocking=False)
    deployed.limit("all", {"MaxConcurrency": 2})
    [shown] = deployed.shown()["ProductionVariants"]
    assert shown["CurrentServerlessConfig"] == {"MemorySizeInMB": 1024, "MaxConcurrency": 2}
    wider = deployed.choose("all").slot
    assert wider is not None
    assert wider.acquire(blocking=False)
    assert wider.acquire(blocking=False)


def test_retained_properties_are_those_that_the_variants_have_now():
    live, new = sides(1)
    serving = live.route.serving
    serving.variants["all"].scale(3)
    serving.weights["all"] = 0.5
    [entry] = retained(new.config, serving, [])["ProductionVariants"]
    assert entry["InitialInstanceCount"] == 3
    assert entry["InitialVariantWeight"] == 0.5
    [entry] = retained(new.config, serving, ["DesiredInstanceCount"])["ProductionVariants"]
    assert entry["InitialInstanceCount"] == 1
