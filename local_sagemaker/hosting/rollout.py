"""One update of an endpoint: its requests move to new instances by a plan, or all the way back."""

import logging
import math
import time
from typing import Protocol

from local_sagemaker.hosting import alarms
from local_sagemaker.hosting.deployed import COUNT, Deployed, Route, entries_of
from local_sagemaker.hosting.deployment_plan import DIGITS, Plan
from local_sagemaker.hosting.variants import NotHealthy
from runtime.errors import RunError

log = logging.getLogger(__name__)
LOOK_S = 0.5  # between two looks at alarms and instances
ROLLED_BACK = "The update was rolled back: "


class Endpoint(Protocol):
    """What an update needs of the endpoint that it changes."""

    endpoint: str
    region: str
    ended: bool
    route: Route

    def heal(self, deployed: Deployed) -> None: ...

    def note(self, **fields: object) -> None: ...


class UpdateStopped(Exception):
    """Why an update was rolled back. status: of the endpoint, after that."""

    def __init__(self, message: str, status: str = "InService") -> None:
        super().__init__(message)
        self.status = status


class Rollout:
    """Brings `new` beside what an endpoint serves, step by step. It does not stop the old end."""

    def __init__(self, fleet: Endpoint, new: Deployed, plan: Plan) -> None:
        self._fleet = fleet
        self._old = fleet.route.serving
        self._new = new
        self._plan = plan
        self._began_s = time.time()
        limit_s = math.inf if plan.limit_s is None else plan.limit_s
        self._until = time.monotonic() + limit_s
        self._had = self._old.counts()
        self._wanted = {
            entry["VariantName"]: entry.get(COUNT, 1) for entry in entries_of(new.config)
        }

    def run(self) -> None:
        """Take all steps of the plan. NotHealthy, RunError, UpdateStopped: all is as before."""
        try:
            self._look("Creating")
            for share in self._plan.shares:
                self._start(share if self._plan.rolling else 1.0)
                self._move(share)
                self._bake(self._plan.wait_s)
                if self._plan.rolling:
                    self._old.resize(_left(self._had, share), self._failed)
            self._bake(self._plan.termination_s)
        except BaseException:  # whatever it was, none of the new instances may stay
            self._back()
            raise

    def _start(self, share: float) -> None:
        self._new.resize(_part(self._wanted, share), self._failed)
        self._check_time()

    def _move(self, share: float) -> None:
        self._fleet.route = Route(self._old, self._new, share)
        log.info(
            "endpoint %s: %.0f %% of the requests are moved", self._fleet.endpoint, 100 * share
        )

    def _bake(self, seconds: float) -> None:
        """Watch for this time. UpdateStopped where an alarm rings, or the time is over."""
        until = time.monotonic() + seconds
        self._look("Baking")
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(LOOK_S, left))
            self._look("Baking")

    def _look(self, status: str) -> None:
        if self._fleet.ended:
            raise UpdateStopped("the endpoint was deleted")
        self._check_time()
        self._check_alarms()
        self._fleet.heal(self._old)
        for name, variant in self._new.variants.items():
            try:
                variant.replace_dead()
            except (NotHealthy, RunError) as error:
                raise self._failed(name, error) from error
        self._note(status)

    def _note(self, status: str) -> None:
        """PendingDeploymentSummary, as DescribeEndpoint shows it. Nothing at a creation."""
        if not self._old.variants:
            return
        shown = self._new.shown()["ProductionVariants"]
        began = {"Status": status, "StartTime": self._began_s}
        pending = {
            "EndpointConfigName": self._new.config["EndpointConfigName"],
            "StartTime": self._began_s,
            "ProductionVariants": [{**variant, "VariantStatus": [began]} for variant in shown],
        }
        self._fleet.note(PendingDeploymentSummary=pending)

    def _check_time(self) -> None:
        if time.monotonic() > self._until:
            raise UpdateStopped(
                f"{ROLLED_BACK}it took longer than MaximumExecutionTimeoutInSeconds, "
                f"{self._plan.limit_s} s"
            )

    def _check_alarms(self) -> None:
        try:
            name = alarms.ringing(self._plan.alarms, self._fleet.region)
        except alarms.AlarmError as error:
            raise UpdateStopped(f"{ROLLED_BACK}{error}") from error
        if name:
            raise UpdateStopped(f"{ROLLED_BACK}the alarm '{name}' is in the state ALARM")

    def _failed(self, name: str, error: Exception) -> Exception:
        if not isinstance(error, NotHealthy):
            return error
        return NotHealthy(f"The primary container for production variant {name} {error}")

    def _back(self) -> None:
        """All requests to the old instances again; the new ones end. UpdateStopped when not."""
        fleet = self._fleet
        if self._old.variants and not fleet.ended:
            fleet.note(EndpointStatus="RollingBack", PendingDeploymentSummary=None)
            try:
                self._restore()
            finally:
                self._end_new()
        else:
            self._end_new()

    def _end_new(self) -> None:
        self._fleet.route = Route(self._old)
        self._new.stop()

    def _restore(self) -> None:
        """Old instances that a rolling update has ended come back, in the batches of the plan."""
        lost = {
            name: count - len(self._old.variants[name].instances)
            for name, count in self._had.items()
        }
        if not any(lost.values()):
            return
        share = self._fleet.route.share
        try:
            for part in self._plan.back:
                gone = _left(lost, part)
                self._old.resize(
                    {name: count - gone[name] for name, count in self._had.items()}, self._failed
                )
                self._move(share * (1 - part))
                self._new.resize(_left(self._new.counts(), part), self._failed)
        except (NotHealthy, RunError) as error:
            raise UpdateStopped(
                f"{ROLLED_BACK}but not all old instances came back: {error}", "UpdateRollbackFailed"
            ) from error


def _part(counts: dict[str, int], share: float) -> dict[str, int]:
    """How many instances make this share, at least."""
    return {name: math.ceil(round(count * share, DIGITS)) for name, count in counts.items()}


def _left(counts: dict[str, int], share: float) -> dict[str, int]:
    """How many are left once this share has gone."""
    return {name: math.ceil(round(count * (1 - share), DIGITS)) for name, count in counts.items()}
