"""An endpoint as it runs: one configuration's variants serve while the next are made ready.

Then it switches to those, or stays where it was.
"""

import logging
import queue
import random
import shutil
import threading
import time
from collections.abc import Callable

from local_sagemaker import autoscaling, models, objects
from local_sagemaker.async_pool import AsyncPool
from local_sagemaker.contract import ApiError, invalid
from local_sagemaker.job_ends import REASON_LENGTH
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.store import ACCOUNT
from local_sagemaker.variants import NotHealthy, Variant, each
from runtime.errors import RunError

log = logging.getLogger(__name__)
KIND = "endpoint"
WATCH_S = 0.5  # between two looks for instances that have ended


class Fleet(threading.Thread):
    """The thread of one endpoint.

    It does one thing after the other: deploy a configuration, change weights and counts, end.
    """

    def __init__(self, platform: Platform, record: Record) -> None:
        self.endpoint: str = record["EndpointName"]
        self.platform = platform
        super().__init__(name=f"endpoint {self.endpoint}", daemon=True)
        self.folder = platform.work / KIND / self.endpoint
        self.variants: dict[str, Variant] = {}
        self.weights: dict[str, float] = {}
        self.config: Record = {}
        # by serverless variant: as many calls at the same time as its MaxConcurrency
        self.slots: dict[str, threading.BoundedSemaphore] = {}
        self._tasks: queue.Queue[Callable[[], None]] = queue.Queue()
        self._deploying: list[Variant] = []
        self._generation = 0  # of configurations; each has a folder of its own
        self.ended = False
        self.backlog = 0  # asynchronous requests that are not done
        self._scaler = autoscaling.Scaler(time.monotonic())
        self.later = AsyncPool(self.endpoint)

    def run(self) -> None:
        while not self.ended:
            try:
                task = self._tasks.get(timeout=WATCH_S)
            except queue.Empty:
                self._heal()
                self._autoscale()
                continue
            try:
                task()
            except Exception:  # the thread must go on: the endpoint could not be deleted otherwise
                log.exception("endpoint %s", self.endpoint)
        each([*self.variants.values()], Variant.stop)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.platform.ended(KIND, self.endpoint)

    def deploy(self, config: str) -> None:
        """Make a configuration's variants ready, then switch to them."""
        self._tasks.put(lambda: self._deploy(config))

    def change(self, wanted: list[Record]) -> None:
        """DesiredWeightsAndCapacities."""
        self._tasks.put(lambda: self._change(wanted))

    def halt(self, why: str) -> None:
        """End it, whatever it does. Returns at once."""
        self.ended = True
        for variant in [*self._deploying]:
            variant.abandoned = True
        self.later.close()

    def choose(self, target: str | None) -> tuple[str, Variant]:
        """The named variant, or one by weight. ApiError when the endpoint has no such variant."""
        variants = self.variants  # a deployment may put others in their place
        weights = self.weights
        if target:
            if target not in variants:
                raise ApiError(
                    "ValidationError", f"Variant {target} not found for Endpoint {self.endpoint}"
                )
            return target, variants[target]
        if not variants:
            raise ApiError(
                "ValidationError", f"Endpoint {self.endpoint} of account {ACCOUNT} not found."
            )
        names = list(variants)
        shares = [weights[name] for name in names]
        if not any(shares):
            shares = [1.0] * len(names)  # random.choices refuses weights that are all 0
        name = random.choices(names, shares)[0]
        return name, variants[name]

    def _deploy(self, config_name: str) -> None:
        """New instances first; the old ones go when those are healthy, else the new ones do."""
        first = not self.variants
        try:
            config = self._config(config_name)
            made = self._made(config["ProductionVariants"])
        except (NotHealthy, RunError, objects.ObjectError, KeyError, TypeError) as error:
            if not self.ended:
                self._failed(error, first)
            return
        old = self.variants
        self.variants = made
        self._take_over(config)
        self._update_record(
            EndpointStatus="InService",
            EndpointConfigName=config_name,
            DeployedConfigName=config_name,
            FailureReason=None,
            DataCaptureConfig=_capture(config),
            AsyncInferenceConfig=config.get("AsyncInferenceConfig"),
        )
        # Only now: requests went to the old instances until the switch.
        each(list(old.values()), Variant.stop)

    def _config(self, name: str) -> Record:
        config = self.platform.store.find(models.CONFIG, name)
        if config is None:
            raise NotHealthy(f"the endpoint configuration '{name}' was deleted")
        return config

    def _made(self, entries: list[Record]) -> dict[str, Variant]:
        """Healthy variants by name; none is left when one of them fails."""
        self._generation += 1
        made: dict[str, Variant] = {}
        try:
            for entry in entries:
                made[entry["VariantName"]] = self._variant(entry)
            self._deploying = list(made.values())
            each(self._deploying, Variant.fetch)
            for entry in entries:
                self._scale(made[entry["VariantName"]], entry)
        except BaseException:  # whatever it was, no container of theirs may stay
            each(list(made.values()), Variant.stop)
            raise
        finally:
            self._deploying = []
        return made

    def _take_over(self, config: Record) -> None:
        """Weights and slots of the configuration that serves now."""
        self.config = config
        self.later.follow(config)
        self.weights = {}
        self.slots = {}
        for entry in config["ProductionVariants"]:
            name = entry["VariantName"]
            self.weights[name] = entry.get("InitialVariantWeight", 1.0)
            if entry.get("ServerlessConfig"):
                most = entry["ServerlessConfig"]["MaxConcurrency"]
                self.slots[name] = threading.BoundedSemaphore(most)

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

    def _scale(self, variant: Variant, entry: Record) -> None:
        try:
            variant.scale(entry.get("InitialInstanceCount", 1))
        except NotHealthy as error:
            raise NotHealthy(
                f"The primary container for production variant {entry['VariantName']} {error}"
            ) from error

    def _failed(self, error: Exception, first: bool) -> None:
        reason = str(error)
        if not isinstance(error, NotHealthy):  # the text alone may be a mere key or number
            reason = f"{type(error).__name__}: {error}"
        status = "InService"  # on what served before
        if first:
            status = "Failed"
        record = self.platform.store.find(KIND, self.endpoint) or {}
        self._update_record(
            EndpointStatus=status,
            EndpointConfigName=record.get("DeployedConfigName", record.get("EndpointConfigName")),
            FailureReason=reason[:REASON_LENGTH],
        )

    def _change(self, wanted: list[Record]) -> None:
        reason = None
        for entry in wanted:
            name = entry["VariantName"]
            try:
                if "DesiredInstanceCount" in entry:
                    self.variants[name].scale(entry["DesiredInstanceCount"])
                self.weights[name] = entry.get("DesiredWeight", self.weights[name])
            except (NotHealthy, RunError) as error:
                reason = f"The primary container for production variant {name} {error}"
        self._update_record(EndpointStatus="InService", FailureReason=reason)

    def _heal(self) -> None:
        for name, variant in self.variants.items():
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

    def _update_record(self, **fields: object) -> None:
        """Note fields and the variants as they are in the endpoint's record."""
        shown = [self._shown(name, variant) for name, variant in self.variants.items()]
        if self.ended:
            fields.pop("EndpointStatus")  # it is Deleting
        self.platform.store.change(KIND, self.endpoint, ProductionVariants=shown or None, **fields)

    def _shown(self, name: str, variant: Variant) -> Record:
        """A variant as DescribeEndpoint shows it."""
        image = {
            "SpecifiedImage": variant.container["Image"],
            "ResolvedImage": variant.container["Image"],
            "ResolutionTime": time.time(),
        }
        shown = {
            "VariantName": name,
            "CurrentWeight": self.weights[name],
            "DesiredWeight": self.weights[name],
            "DeployedImages": [image],
        }
        for entry in self.config.get("ProductionVariants", []):
            if entry["VariantName"] == name and entry.get("ServerlessConfig"):
                return {**shown, "CurrentServerlessConfig": entry["ServerlessConfig"]}
        count = len(variant.instances)
        return {**shown, "CurrentInstanceCount": count, "DesiredInstanceCount": count}


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
