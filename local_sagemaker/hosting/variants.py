"""A model on its instances: data fetched, containers healthy, requests shared among them."""

import itertools
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from artifact.archives.unpack import extract
from local_sagemaker import objects
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.registry.models import container_of
from runtime.container_engine import RunSpec
from runtime.engine_facts import PROCESS
from runtime.instances import Instance, stop_all
from runtime.timeouts import SERVE_STOP_S

MODEL = "/opt/ml/model"  # where a container finds its model
MODELS = "/opt/ml/models"  # and where several
HEALTH_S = 480  # from the start to a /ping of 200, as on SageMaker
LOOK_S = 0.1  # between two pings


class NotHealthy(Exception):
    """Why a model's containers cannot be used."""


class Variant:
    """The instances of one model. folder: for the model's data; group, stream: of their logs."""

    def __init__(
        self,
        platform: Platform,
        model: Record,
        folder: Path,
        group: str,
        stream: str,
        environment: dict[str, str] | None = None,
        health_s: int | None = None,
    ):
        self.platform = platform
        self.model = model
        self.folder = folder
        self._group = group
        self._stream = stream
        self.container = container_of(model)
        self.multi_model = self.container.get("Mode") == "MultiModel"
        access = platform.container_environment
        if model.get("EnableNetworkIsolation"):
            access = {}
        self._environment = {
            "AWS_REGION": model["Region"],
            **access,
            **self.container.get("Environment", {}),
            **(environment or {}),
        }
        if self.multi_model:
            self._environment["SAGEMAKER_MULTI_MODEL"] = "true"
        self._health_s = health_s or HEALTH_S
        self._turn = itertools.count()
        self._lock = threading.Lock()
        self.instances: list[Instance] = []
        self.abandoned = False
        self.loading = threading.Lock()  # of a multi-model endpoint's models
        # URL of an instance: its models, the last used one last
        self.loaded: dict[str, dict[str, bool]] = {}

    def fetch(self) -> None:
        """The model's data into the folder. ObjectError or NotHealthy when that fails."""
        self.folder.mkdir(parents=True, exist_ok=True)
        source = self.container.get("ModelDataSource", {}).get("S3DataSource", {})
        uri = self.container.get("ModelDataUrl") or source.get("S3Uri")
        if not uri or self.multi_model:
            return
        if source.get("CompressionType") == "None":
            objects.fetch_all(uri, self.folder)
            return
        unpack(uri, self.folder)

    def scale(self, count: int) -> None:
        """Start or stop instances until this number is healthy.

        NotHealthy when a new one does not get ready; the earlier ones stay.
        """
        started: list[Instance] = []
        try:
            for _ in range(count - len(self.instances)):
                started.append(self._start())
            self._wait(started)
        except BaseException:  # whatever it was, none of the new ones may stay
            stop_all(started, SERVE_STOP_S)
            raise
        with self._lock:
            surplus = self.instances[count:]
            self.instances = [*self.instances, *started][:count]
        stop_all(surplus, SERVE_STOP_S)

    def replace_dead(self) -> None:
        """Instances that have ended are started anew."""
        alive = [instance for instance in self.instances if instance.code() is None]
        count = len(self.instances)
        if len(alive) < count:
            with self._lock:
                self.instances = alive
            self.scale(count)

    def pick(self) -> str:
        """The URL of the next instance in turn. NotHealthy without an instance."""
        with self._lock:
            if not self.instances:
                raise NotHealthy(f"model {self.model['ModelName']} has no running instance")
            return self.instances[next(self._turn) % len(self.instances)].url() or ""

    def inside(self, path: Path) -> str:
        """A path below the folder, as the containers see it."""
        if self.platform.container_engine.name == PROCESS:
            return str(path)
        return f"{MODELS}/{path.relative_to(self.folder)}"

    def stop(self) -> None:
        self.abandoned = True
        with self._lock:
            instances = self.instances
            self.instances = []
        stop_all(instances, SERVE_STOP_S)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> Instance:
        log = self.platform.logs.stream(
            self._group, f"{self._stream}/i-{uuid.uuid4().hex[:17]}", self.model["Region"]
        )
        mount = MODEL
        if self.multi_model:
            mount = MODELS
        spec = RunSpec(
            self.container["Image"],
            "serve",
            self.folder,
            self._environment,
            host=self.container.get("ContainerHostname", ""),
            mount=mount,
        )
        try:
            return self.platform.container_engine.start(spec, log.line)
        except BaseException:  # no instance will write to it
            log.close()
            raise

    def _wait(self, instances: list[Instance]) -> None:
        deadline = time.monotonic() + self._health_s
        for instance in instances:
            while not instance.ready():
                if self.abandoned:
                    raise NotHealthy("it was deleted before it was ready")
                code = instance.code()
                if code is not None or time.monotonic() > deadline:
                    raise _not_healthy(code)
                time.sleep(LOOK_S)


def _not_healthy(code: int | None) -> NotHealthy:
    """SageMaker's sentence, with the exit code of a container that has ended."""
    # fleet.py puts the variant before it: "The primary container for production variant ..."
    text = "did not pass the ping health check. Please check CloudWatch logs for this endpoint."
    if code is not None:
        text += f" The container ended with code {code}."
    return NotHealthy(text)


def unpack(uri: str, folder: Path) -> None:
    """Unpack a model.tar.gz from S3 into a folder. NotHealthy for another kind of file."""
    archive = folder.with_name(f"{folder.name}.tar.gz")
    objects.fetch(uri, archive)
    try:
        extract(archive, folder)
    except (ValueError, OSError) as error:
        raise NotHealthy(f"Failed to extract model data archive from URL {uri}: {error}") from error
    finally:
        archive.unlink(missing_ok=True)


def each(variants: list[Variant], action: Callable[[Variant], None]) -> None:
    """An action on several side by side; the first error is raised once all are done."""
    errors: list[Exception] = []

    def run(variant: Variant) -> None:
        try:
            action(variant)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(variant,)) for variant in variants]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
