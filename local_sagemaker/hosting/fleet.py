"""An endpoint as it runs: one configuration's variants serve while the next are made ready.

Then it switches to those, or stays where it was.
"""

import logging
import queue
import shutil
import threading
import time
from collections.abc import Callable

from local_sagemaker import objects
from local_sagemaker.contract import ApiError, invalid
from local_sagemaker.hosting import autoscaling
from local_sagemaker.hosting.async_pool import AsyncPool
from local_sagemaker.hosting.deployed import Chosen, Deployed, Route, entries_of
from local_sagemaker.hosting.deployment_plan import ALL_AT_ONCE, Plan
from local_sagemaker.hosting.rollout import Rollout, UpdateStopped
from local_sagemaker.hosting.shadows import ShadowPool
from local_sagemaker.hosting.variants import NotHealthy, Variant, each
from local_sagemaker.job_ends import REASON_LENGTH
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.registry import models
from local_sagemaker.store import ACCOUNT
from runtime.errors import RunError

log = logging.getLogger(__name__)
KIND = "endpoint"
# What a request, an image or a model may bring about.
EXPECTED = (NotHealthy, RunError, UpdateStopped, objects.ObjectError)
WATCH_S = 0.5  # between two looks for instances that have ended


class Fleet(threading.Thread):
    """The thread of one endpoint.

    It does one thing after the other: deploy a configuration, change weights and counts, end.
    """

    def __init__(self, platform: Platform, record: Record) -> None:
        self.endpoint: str = record["EndpointName"]
        self.region: str = record["Region"]
        self.platform = platform
        super().__init__(name=f"endpoint {self.endpoint}", daemon=True)
        self.folder = platform.work / KIND / self.endpoint
        self.route = Route(Deployed({}, {}))
        self._tasks: queue.Queue[Callable[[], None]] = queue.Queue()
        self._deploying: list[Variant] = []
        self._generation = 0  # of configurations; each has a folder of its own
        self.ended = False
        self.backlog = 0  # asynchronous requests that are not done
        self._scaler = autoscaling.Scaler(time.monotonic())
        self.later = AsyncPool(self.endpoint)
        self.shadows = ShadowPool(self.endpoint)

    @property
    def serving(self) -> Deployed:
        """What the endpoint serves; an update may already have a share of its requests."""
        return self.route.serving

    @property
    def config(self) -> Record:
        return self.serving.config

    @property
    def variants(self) -> dict[str, Variant]:
        return self.serving.variants

    def run(self) -> None:
        while not self.ended:
            try:
                self._do_next()
            except Exception:  # the thread must go on: the endpoint could not be deleted otherwise
                log.exception("endpoint %s", self.endpoint)
        self.serving.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.platform.ended(KIND, self.endpoint)

    def _do_next(self) -> None:
        try:
            task = self._tasks.get(timeout=WATCH_S)
        except queue.Empty:
            self.heal(self.serving)
            self._autoscale()
            return
        task()

    def deploy(self, config: Record, plan: Plan = ALL_AT_ONCE) -> None:
        """Make a configuration's variants ready, and move the requests to them by a plan."""
        self._tasks.put(lambda: self._deploy(config, plan))

    def change(self, wanted: list[Record]) -> None:
        """DesiredWeightsAndCapacities."""
        self._tasks.put(lambda: self._change(wanted))

    def halt(self, why: str) -> None:
        """End it, whatever it does. Returns at once."""
        self.ended = True
        for variant in [*self._deploying]:
            variant.abandoned = True
        self.later.close()
        self.shadows.close()

    def choose(self, target: str | None) -> Chosen:
        """The named variant, or one by weight. ApiError when the endpoint has no such variant."""
        route = self.route  # an update may put another in its place
        if not route.serving.variants and not route.incoming:
            raise ApiError(
                "ValidationError", f"Endpoint {self.endpoint} of account {ACCOUNT} not found."
            )
        return route.choose(self.endpoint, target)

    def _deploy(self, config: Record, plan: Plan) -> None:
        """New instances first; the old ones go when those are healthy, else the new ones do."""
        old = self.serving
        try:
            new = self._prepared(config)
            Rollout(self, new, plan).run()
        except Exception as error:  # whatever it was, the endpoint's status must come to rest
            self._log_unexpected(error)
            if not self.ended:
                self._failed(error, first=not old.variants)
            return
        finally:
            self._deploying = []
        self.route = Route(new)
        self.later.follow(config)
        name = config["EndpointConfigName"]
        self.note(
            EndpointStatus="InService",
            EndpointConfigName=name,
            DeployedConfigName=name,
            FailureReason=None,
            PendingDeploymentSummary=None,
            DataCaptureConfig=_capture(config),
            AsyncInferenceConfig=config.get("AsyncInferenceConfig"),
        )
        # Only now: requests went to the old instances until the switch.
        old.stop()

    def _prepared(self, config: Record) -> Deployed:
        """The configuration's variants with their models' data, without an instance."""
        self._generation += 1
        made: dict[str, Variant] = {}
        try:
            for entry in entries_of(config):
                made[entry["VariantName"]] = self._variant(entry)
            self._deploying = list(made.values())
            each(self._deploying, Variant.fetch)
        except BaseException:  # whatever it was, no folder of theirs may stay
            each(list(made.values()), Variant.stop)
            raise
        return Deployed(config, made)

    def _variant(self, entry: Record) -> Variant:
        model = self.platform.store.find(models.MODEL, entry["ModelName"])
        if model is None:
            raise NotHealthy(f"the model '{entry['ModelName']}' was deleted")
        name = entry["VariantName"]
        return Variant(
            self.platform,
            model,
            self.folder / str(self._generation) / name,
            f"Endpoints/{self.endpoint}",
            name,
            health_s=entry.get("ContainerStartupHealthCheckTimeoutInSeconds"),
        )

    def _failed(self, error: Exception, first: bool) -> None:
        status = "InService"  # on what served before
        if first:
            status = "Failed"
        elif isinstance(error, UpdateStopped):
            status = error.status
        record = self.platform.store.find(KIND, self.endpoint) or {}
        self.note(
            EndpointStatus=status,
            EndpointConfigName=record.get("DeployedConfigName", record.get("EndpointConfigName")),
            FailureReason=_text(error)[:REASON_LENGTH],
            PendingDeploymentSummary=None,
        )

    def _change(self, wanted: list[Record]) -> None:
        reason = None
        weights = self.serving.weights
        for entry in wanted:
            name = entry["VariantName"]
            try:
                if "DesiredInstanceCount" in entry:
                    self.variants[name].scale(entry["DesiredInstanceCount"])
                weights[name] = entry.get("DesiredWeight", weights[name])
                self.serving.limit(name, entry.get("ServerlessUpdateConfig", {}))
            except Exception as error:  # whatever it was, the update has ended
                self._log_unexpected(error)
                text = f"The primary container for production variant {name} {_text(error)}"
                reason = text[:REASON_LENGTH]
        self.note(EndpointStatus="InService", FailureReason=reason)

    def _log_unexpected(self, error: Exception) -> None:
        if not isinstance(error, EXPECTED):  # a fault of this server's own
            log.error("endpoint %s", self.endpoint, exc_info=error)

    def heal(self, deployed: Deployed) -> None:
        """Start instances that have ended anew; a failure is logged only."""
        for name, variant in deployed.variants.items():
            try:
                variant.replace_dead()
            except (NotHealthy, RunError) as error:
                log.warning(
                    "endpoint %s: variant %s could not be started again: %s",
                    self.endpoint,
                    name,
                    error,
                )

    def count_backlog(self, change: int) -> None:
        """One asynchronous request more, or less. Callers are many threads."""
        with self.platform.lock:
            self.backlog += change

    def _autoscale(self) -> None:
        """Bring an asynchronous endpoint to the instances that its policies want now."""
        record = self.platform.store.find(autoscaling.KIND, self.endpoint)
        if record is None or not self.config.get("AsyncInferenceConfig"):
            return
        for name, variant in self.variants.items():
            count = len(variant.instances)
            wanted = self._scaler.wanted(record, self.backlog, count, time.monotonic())
            if wanted != count:
                log.info("endpoint %s: %d of %d instances", self.endpoint, wanted, count)
                self._change([{"VariantName": name, "DesiredInstanceCount": wanted}])

    def note(self, **fields: object) -> None:
        """Note fields and the variants as they are in the endpoint's record."""
        if self.ended:
            fields.pop("EndpointStatus", None)  # it is Deleting
        self.platform.store.change(KIND, self.endpoint, **self.serving.shown(), **fields)


def _text(error: Exception) -> str:
    if isinstance(error, EXPECTED):
        return str(error)
    return f"{type(error).__name__}: {error}"  # the text alone may be a mere key or number


def _capture(config: Record) -> Record | None:
    """DataCaptureConfig as DescribeEndpoint shows it."""
    capture = config.get("DataCaptureConfig")
    if not capture:
        return None
    enabled = capture.get("EnableCapture", True)
    status = "Stopped"
    if enabled:
        status = "Started"
    return {
        "EnableCapture": enabled,
        "CaptureStatus": status,
        "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
        "DestinationS3Uri": capture["DestinationS3Uri"],
    }


def check_variants(fleet: Fleet, wanted: list[Record]) -> None:
    """ApiError for a name that the endpoint does not have."""
    for entry in wanted:
        if entry["VariantName"] not in fleet.variants:
            raise invalid(f'Could not find variant "{entry["VariantName"]}" of the endpoint.')
