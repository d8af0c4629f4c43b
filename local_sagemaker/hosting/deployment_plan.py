"""How an update moves an endpoint's requests: SageMaker's DeploymentConfig as a plan of shares.

Source: DeploymentConfig in the API reference, and "Deployment guardrails" in SageMaker's guide.
"""

import math
from dataclasses import dataclass

from local_sagemaker.contract import invalid
from local_sagemaker.record import Record

MOST_PART = 0.5  # of the instances: what one step of a canary, linear or rolling update may take
LEAST_LINEAR = 0.1
LEAST_ROLLING = 0.05
DIGITS = 9  # of a share: thirds must add up to 1
SIZES = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}


@dataclass(frozen=True)
class Plan:
    """The steps of one update.

    shares: of the requests that the new instances get, step by step; the last is 1.
    wait_s: after each step; termination_s: after the last one; limit_s: for all, None for no limit.
    rolling: old instances end after each step, not at the end. back: the same shares of a rollback.
    """

    shares: tuple[float, ...] = (1.0,)
    wait_s: float = 0.0
    termination_s: float = 0.0
    limit_s: float | None = None
    alarms: tuple[str, ...] = ()
    rolling: bool = False
    back: tuple[float, ...] = (1.0,)


ALL_AT_ONCE = Plan()


def plan_of(config: Record | None, entries: list[Record]) -> Plan:
    """The plan of a DeploymentConfig for these production variants. ApiError where there is none.

    entries: as an endpoint configuration has them.
    """
    if not config:
        return ALL_AT_ONCE
    blue_green = config.get("BlueGreenUpdatePolicy")
    rolling = config.get("RollingUpdatePolicy")
    if blue_green and rolling:
        raise invalid(
            "A DeploymentConfig has either BlueGreenUpdatePolicy or RollingUpdatePolicy, not both"
        )
    rollback = config.get("AutoRollbackConfiguration") or {}
    alarms = tuple(alarm["AlarmName"] for alarm in rollback.get("Alarms", []))
    if rolling:
        return _rolling(rolling, entries, alarms)
    if blue_green:
        return _blue_green(blue_green, entries, alarms)
    return Plan(alarms=alarms)


def _blue_green(policy: Record, entries: list[Record], alarms: tuple[str, ...]) -> Plan:
    routing = policy["TrafficRoutingConfiguration"]
    kind = routing["Type"]
    for name in SIZES.values():
        if routing.get(name) and SIZES.get(kind) != name:
            raise invalid(f"{name} is not for traffic routing of the type {kind}")
    plan = Plan(
        shares=_shares(routing, entries),
        wait_s=routing["WaitIntervalInSeconds"],
        termination_s=policy.get("TerminationWaitInSeconds", 0),
        limit_s=policy.get("MaximumExecutionTimeoutInSeconds"),
        alarms=alarms,
    )
    _check_limit(plan)
    return plan


def _shares(routing: Record, entries: list[Record]) -> tuple[float, ...]:
    kind = routing["Type"]
    if kind not in SIZES:
        return (1.0,)
    name = SIZES[kind]
    if not routing.get(name):
        raise invalid(f"Traffic routing of the type {kind} must have {name}")
    least = LEAST_LINEAR if kind == "LINEAR" else 0.0
    part = _part(routing[name], entries, name, least)
    if kind == "CANARY":
        return (part, 1.0)
    return _steps(part)


def _rolling(policy: Record, entries: list[Record], alarms: tuple[str, ...]) -> Plan:
    part = _part(policy["MaximumBatchSize"], entries, "MaximumBatchSize", LEAST_ROLLING)
    back: tuple[float, ...] = (1.0,)
    if policy.get("RollbackMaximumBatchSize"):
        size = policy["RollbackMaximumBatchSize"]
        back = _steps(_fraction(size, entries, "RollbackMaximumBatchSize"))
    plan = Plan(
        shares=_steps(part),
        wait_s=policy["WaitIntervalInSeconds"],
        limit_s=policy.get("MaximumExecutionTimeoutInSeconds"),
        alarms=alarms,
        rolling=True,
        back=back,
    )
    _check_limit(plan)
    return plan


def _steps(part: float) -> tuple[float, ...]:
    """Growing shares, part by part, up to 1."""
    count = math.ceil(round(1 / part, DIGITS))
    return tuple(min(1.0, round(part * (number + 1), DIGITS)) for number in range(count))


def _part(size: Record, entries: list[Record], name: str, least: float) -> float:
    """The fraction of the instances that a step takes. ApiError out of SageMaker's bounds."""
    fraction = _fraction(size, entries, name)
    if _instances(entries, name) < 2:
        raise invalid(f"{name} needs two instances or more: one instance cannot be moved in parts")
    if not least <= fraction <= MOST_PART:
        lowest = f"{least:.0%} to " if least else "at most "
        raise invalid(
            f"{name} must be {lowest}{MOST_PART:.0%} of the instances; "
            f"found {size['Value']} {size['Type']}"
        )
    return fraction


def _fraction(size: Record, entries: list[Record], name: str) -> float:
    """A CapacitySize as a fraction of all instances. ApiError over the whole."""
    whole = 100
    if size["Type"] == "INSTANCE_COUNT":
        whole = _instances(entries, name)
    if size["Value"] > whole:
        raise invalid(f"{name} is {size['Value']} {size['Type']}, and there are {whole}")
    fraction: float = size["Value"] / whole
    return fraction


def _instances(entries: list[Record], name: str) -> int:
    if any(entry.get("ServerlessConfig") for entry in entries):
        raise invalid(f"{name} needs instances: a serverless variant is updated all at once")
    return sum(entry.get("InitialInstanceCount", 1) for entry in entries)


def _check_limit(plan: Plan) -> None:
    waits = len(plan.shares) * plan.wait_s + plan.termination_s
    if plan.limit_s is not None and plan.limit_s <= waits:
        raise invalid(
            f"MaximumExecutionTimeoutInSeconds is {plan.limit_s}; it must be more than the time "
            f"that the update waits, {waits} s"
        )
