"""A training or a search on an MLflow server: parameters, metrics by epoch, reports, artifact.

MLFLOW_TRACKING_URI asks for it, and mlflow-skinny sends it, in a thread of its own. A server that
is down or slow costs a training nothing while it learns, and at most END_S at its end.
"""

import dataclasses
import importlib
import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from artifact.text.names import printable
from recipes.hyperparameters import Hyperparameters
from train.job import Job

PARENT = "SLIPWAY_MLFLOW_PARENT"  # the run of the search that a training belongs to
EXPERIMENT = "slipway"  # where no variable names one
END_S = 60.0  # for what is still to be sent
MOST_PARAMETERS = 100  # of one request, by MLflow's REST API
LONGEST_VALUE = 6000  # characters, by the same
# MLflow's own waits 120 s seven times. Its telemetry is not ours to send.
DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

log = logging.getLogger(__name__)


class NoTracker:
    """Where nobody asked for a tracker, or none can be had."""

    run_id = ""

    def begin(self, name: str, parameters: Mapping[str, object], tags: Mapping[str, str]) -> None:
        """Start a run, or go on with the one that MLFLOW_RUN_ID names."""

    def metrics(self, values: Mapping[str, Any], step: int = 0) -> None:
        """Send the finite numbers of these."""

    def files(self, paths: Sequence[Path], folder: str) -> None:
        """Send files, and what folders hold, into a folder of the run's artifacts."""

    def end(self, status: str) -> None:
        """End the run: FINISHED, FAILED or KILLED. It returns once all is sent, or after END_S."""


class Tracker(NoTracker):
    """A run. What is called here is done in order by a thread; a failure is one warning."""

    def __init__(self) -> None:
        for name, value in DEFAULTS.items():
            os.environ.setdefault(name, value)
        self._client: Any = None
        self._broken = False
        self._tasks: queue.Queue[Callable[[], None] | None] = queue.Queue()
        # A daemon: a request that hangs must not keep the program.
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._thread.start()

    def begin(self, name: str, parameters: Mapping[str, object], tags: Mapping[str, str]) -> None:
        texts = {key: str(value)[:LONGEST_VALUE] for key, value in parameters.items()}
        self._tasks.put(lambda: self._begin(name, texts, dict(tags)))

    def metrics(self, values: Mapping[str, Any], step: int = 0) -> None:
        numbers = {key: float(value) for key, value in values.items() if _is_number(value)}
        when_ms = int(time.time() * 1000)
        self._tasks.put(lambda: self._metrics(numbers, when_ms, step))

    def files(self, paths: Sequence[Path], folder: str) -> None:
        self._tasks.put(lambda: self._files(paths, folder))

    def end(self, status: str) -> None:
        self._tasks.put(lambda: self._client.set_terminated(self.run_id, status))
        self._tasks.put(None)
        self._thread.join(END_S)
        if self._thread.is_alive():
            log.warning("mlflow: not all was sent within %.0f s; the files have it all", END_S)

    def wait_begun(self, seconds: float) -> bool:
        """Whether the run is there within this time."""
        begun = threading.Event()
        self._tasks.put(begun.set)
        deadline = time.monotonic() + seconds
        while not begun.wait(0.1):
            if self._broken or time.monotonic() > deadline:
                return False
        return bool(self.run_id)

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            if task is None:
                return
            if self._broken:
                continue
            try:
                task()
            except Exception as error:  # any: a training is worth more than its record
                self._broken = True
                sentence = printable(str(error).partition("\n")[0] or repr(error))[:300]
                log.warning("mlflow: nothing more is sent to the server (%s)", sentence)

    def _begin(self, name: str, parameters: dict[str, str], tags: dict[str, str]) -> None:
        self._client = importlib.import_module("mlflow").MlflowClient()
        # In a container it warns with each request that it found no notebook around it.
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        given = os.environ.get("MLFLOW_RUN_ID", "")
        if given and not os.environ.get(PARENT):
            self.run_id = str(self._client.get_run(given).info.run_id)
        else:
            experiment = os.environ.get("MLFLOW_EXPERIMENT_ID") or self._experiment()
            tags |= {"mlflow.source.name": "slipway"}
            run = self._client.create_run(experiment, tags=tags, run_name=name or None)
            self.run_id = run.info.run_id
        log.info("mlflow: run %s on %s", self.run_id, os.environ["MLFLOW_TRACKING_URI"])
        entities = importlib.import_module("mlflow.entities")
        params = [entities.Param(key, value) for key, value in parameters.items()]
        for start in range(0, len(params), MOST_PARAMETERS):
            self._client.log_batch(self.run_id, params=params[start : start + MOST_PARAMETERS])

    def _experiment(self) -> str:
        """The number of the experiment, which is made where it is not there."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name))
            except Exception:  # another training may have made it meanwhile
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)

    def _metrics(self, numbers: dict[str, float], when_ms: int, step: int) -> None:
        entities = importlib.import_module("mlflow.entities")
        metrics = [entities.Metric(key, value, when_ms, step) for key, value in numbers.items()]
        self._client.log_batch(self.run_id, metrics=metrics)

    def _files(self, paths: Sequence[Path], folder: str) -> None:
        for path in paths:
            if path.is_dir():
                self._client.log_artifacts(self.run_id, str(path), folder)
            elif path.is_file():
                self._client.log_artifact(self.run_id, str(path), folder)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def open_tracker() -> NoTracker:
    """A tracker where MLFLOW_TRACKING_URI asks for one; one that does nothing otherwise."""
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        return NoTracker()
    if find_spec("mlflow") is None:
        log.warning(
            "mlflow: MLFLOW_TRACKING_URI is set, and mlflow-skinny is not installed: nothing is "
            "sent; type: pip install mlflow-skinny"
        )
        return NoTracker()
    return Tracker()


@contextmanager
def tracked(job: Job, hp: Hyperparameters, wanted: bool, stop: Callable[[], bool]) -> Iterator[Any]:
    """A training's run, from its parameters to its files. wanted: in the main process alone."""
    tracker = open_tracker() if wanted else NoTracker()
    parent = os.environ.get(PARENT, "")
    name = os.environ.get("MLFLOW_RUN_NAME") or os.environ.get("TRAINING_JOB_NAME", "")
    tags = {}
    if parent:
        tags = {"mlflow.parentRunId": parent, "slipway.tuning_job": job.root.parent.name}
        name = job.root.name
    tracker.begin(name, dataclasses.asdict(hp), tags)
    status = "FAILED"
    try:
        yield tracker
        status = "KILLED" if stop() else "FINISHED"
    finally:
        _send_results(tracker, job)
        tracker.end(status)


def _send_results(tracker: NoTracker, job: Job) -> None:
    """The figures at the end, the reports and the artifact, as far as there are any."""
    try:
        figures = json.loads((job.output_data / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # it ended before these
        figures = {}
    # The epochs have metrics of these names, of the network in training.
    measured = {
        f"artifact_{name}" if name.startswith(("train_", "validation_")) else name: value
        for name, value in figures.items()
    }
    tracker.metrics(measured)
    if job.output_data.is_dir():
        files = sorted(path for path in job.output_data.iterdir() if path.is_file())
        tracker.files(files, "output")
    if (job.model / "model.json").is_file():
        tracker.files([job.model], "artifact")
