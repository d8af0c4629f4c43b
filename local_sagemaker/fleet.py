"""An endpoint as it runs: one configuration's variants serve while the next ones are made ready; then it switches, or stays."""

import logging
import queue
import random
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from local_sagemaker import models, objects
from local_sagemaker.contract import VALIDATION, ApiError
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.store import ACCOUNT
from local_sagemaker.variants import NotHealthy, Variant, each
from runtime.errors import RunError

log = logging.getLogger(__name__)
KIND = "endpoint"
WATCH_S = 0.5
ASYNC_AT_ONCE = 4


class Fleet(threading.Thread):
    """The thread of one endpoint. It does one thing after the other: deploy a configuration, change weights and counts, end."""

    def __init__(self, platform: Platform, record: Record) -> None:
        self.endpoint, self.platform = record["EndpointName"], platform
        super().__init__(name=f"endpoint {self.endpoint}", daemon=True)
        self.folder = platform.work / KIND / self.endpoint
        self.variants: dict[str, Variant] = {}
        self.weights: dict[str, float] = {}
        self.config: Record = {}
        self.slots: dict[
            str, threading.BoundedSemaphore
        ] = {}  # of serverless variants: how many calls at once
        self._tasks: queue.Queue = queue.Queue()
        self._deploying: list[Variant] = []
        self._generation = 0
        self.ended = False
        self.later = ThreadPoolExecutor(ASYNC_AT_ONCE, thread_name_prefix=f"async {self.endpoint}")

    def run(self) -> None:
        while not self.ended:
            try:
                task = self._tasks.get(timeout=WATCH_S)
            except queue.Empty:
                self._heal()
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
        self.later.shutdown(wait=False, cancel_futures=True)

    def choose(self, target: str | None) -> tuple[str, Variant]:
        """The variant named, or one by weight. ApiError when there is none."""
        variants, weights = self.variants, self.weights
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
        total = [weights[name] for name in names]
        name = random.choices(names, total if sum(total) else None)[0]
        return name, variants[name]

    def _deploy(self, config_name: str) -> None:
        """New instances first; the old ones go when those are healthy, else the new ones do."""
        first = not self.variants
        config = self.platform.store.find(models.CONFIG, config_name)
        self._generation += 1
        made: dict[str, Variant] = {}
        try:
            for entry in config["ProductionVariants"]:
                made[entry["VariantName"]] = self._variant(entry)
            self._deploying = list(made.values())
            each(self._deploying, Variant.fetch)
            for entry in config["ProductionVariants"]:
                self._scale(made[entry["VariantName"]], entry)
        except (NotHealthy, RunError, objects.ObjectError, KeyError, TypeError) as error:
            each(list(made.values()), Variant.stop)
            if not self.ended:
                self._failed(error, first)
            return
        finally:
            self._deploying = []
        old, self.variants = self.variants, made
        self.weights = {
            entry["VariantName"]: entry.get("InitialVariantWeight", 1.0)
            for entry in config["ProductionVariants"]
        }
        self.slots = {
            entry["VariantName"]: threading.BoundedSemaphore(
                entry["ServerlessConfig"]["MaxConcurrency"]
            )
            for entry in config["ProductionVariants"]
            if entry.get("ServerlessConfig")
        }
        self.config = config
        self._tell(
            EndpointStatus="InService",
            EndpointConfigName=config_name,
            DeployedConfigName=config_name,
            FailureReason=None,
            DataCaptureConfig=_capture(config),
            AsyncInferenceConfig=config.get("AsyncInferenceConfig"),
        )
        each(list(old.values()), Variant.stop)

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
        kind = "" if isinstance(error, NotHealthy) else f"{type(error).__name__}: "
        record = self.platform.store.find(KIND, self.endpoint) or {}
        self._tell(
            EndpointStatus="Failed" if first else "InService",
            EndpointConfigName=record.get("DeployedConfigName", record.get("EndpointConfigName")),
            FailureReason=f"{kind}{error}"[:1024],
        )

    def _change(self, wanted: list[Record]) -> None:
        reason = None
        for entry in wanted:
            variant = self.variants[entry["VariantName"]]
            try:
                if "DesiredInstanceCount" in entry:
                    variant.scale(entry["DesiredInstanceCount"])
                self.weights[entry["VariantName"]] = entry.get(
                    "DesiredWeight", self.weights[entry["VariantName"]]
                )
            except (NotHealthy, RunError) as error:
                reason = (
                    f"The primary container for production variant {entry['VariantName']} {error}"
                )
        self._tell(EndpointStatus="InService", FailureReason=reason)

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

    def _tell(self, **fields: object) -> None:
        """Status and variants into the record."""
        shown = []
        serverless = {
            entry["VariantName"]: entry["ServerlessConfig"]
            for entry in self.config.get("ProductionVariants", [])
            if entry.get("ServerlessConfig")
        }
        for name, variant in self.variants.items():
            image = variant.container["Image"]
            counts = (
                {"CurrentServerlessConfig": serverless[name]}
                if name in serverless
                else {
                    "CurrentInstanceCount": len(variant.instances),
                    "DesiredInstanceCount": len(variant.instances),
                }
            )
            shown.append(
                {
                    "VariantName": name,
                    "CurrentWeight": self.weights[name],
                    "DesiredWeight": self.weights[name],
                    **counts,
                    "DeployedImages": [
                        {
                            "SpecifiedImage": image,
                            "ResolvedImage": image,
                            "ResolutionTime": time.time(),
                        }
                    ],
                }
            )
        if self.ended:
            fields.pop("EndpointStatus")  # Deleting
        self.platform.store.change(KIND, self.endpoint, ProductionVariants=shown or None, **fields)


def _capture(config: Record) -> Record | None:
    """DataCaptureConfig as DescribeEndpoint shows it."""
    capture = config.get("DataCaptureConfig")
    return capture and {
        "EnableCapture": capture.get("EnableCapture", True),
        "CaptureStatus": "Started" if capture.get("EnableCapture", True) else "Stopped",
        "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
        "DestinationS3Uri": capture["DestinationS3Uri"],
    }


def check_variants(fleet: Fleet, wanted: list[Record]) -> None:
    """ApiError for a name that the endpoint does not have."""
    for entry in wanted:
        if entry["VariantName"] not in fleet.variants:
            raise ApiError(
                VALIDATION, f'Could not find variant "{entry["VariantName"]}" of the endpoint.'
            )
