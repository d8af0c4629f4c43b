"""Trainings and searches on a real MLflow server, and TensorBoard's own reader of our events."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from recipes.hyperparameters import parse
from runtime.instances import Instance
from runtime.ports import free_port
from runtime.probes import wait_ready
from tests.support.jobs import REPOSITORY, SMALL, make_job
from tests.support.tuning import document, draw_data
from tests.train.test_tensorboard_files import HISTORY, MODEL, TIMES, answers
from train.recording.history import write_scalars
from train.result.tensorboard_files import write_results

pytestmark = [pytest.mark.verify, pytest.mark.training]

RUNS = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient()
found = []
for experiment in client.search_experiments():
    for run in client.search_runs([experiment.experiment_id]):
        history = client.get_metric_history(run.info.run_id, "train_loss")
        files = {}
        for folder in ("output", "artifact", "search"):
            files[folder] = [each.path for each in client.list_artifacts(run.info.run_id, folder)]
        found.append({
            "experiment": experiment.name, "name": run.info.run_name, "id": run.info.run_id,
            "status": run.info.status, "params": run.data.params, "metrics": run.data.metrics,
            "tags": run.data.tags, "files": files,
            "epochs": [metric.step for metric in history],
        })
print(json.dumps(found))
"""
EVENTS = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
found = {}
for run in ("train", "validation", "."):
    reader = EventAccumulator(f"{sys.argv[1]}/{run}")
    reader.Reload()
    scalars = {tag: [[one.step, one.wall_time] for one in reader.Scalars(tag)]
               for tag in reader.Tags()["scalars"]}
    images = {tag: [reader.Images(tag)[0].width, reader.Images(tag)[0].height]
              for tag in reader.Tags()["images"]}
    names = []
    if run == ".":
        start = reader.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        names = sorted(HParamsPluginData.FromString(start).session_start_info.hparams)
    found[run] = {"scalars": scalars, "images": images, "hparams": names}
print(json.dumps(found))
"""


class Server(Instance):
    def ready(self) -> bool:
        from urllib.request import urlopen

        try:
            with urlopen(f"{self.url()}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@pytest.fixture(scope="module")
def python(python_of) -> Path:
    return python_of("trackers")


@pytest.fixture(scope="module")
def server(python, tmp_path_factory) -> Iterator[str]:
    """The address of an MLflow server."""
    folder = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    command = [str(python), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", "sqlite:///runs.db"]
    command += ["--artifacts-destination", "artifacts"]
    # It starts its web server by name.
    places = f"{python.parent}:{os.environ['PATH']}"
    running = Server(command, print, port, {**os.environ, "PATH": places}, folder)
    try:
        wait_ready(running.ready, running.code)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.stop(10)


@pytest.fixture
def environment(python, tmp_path) -> dict[str, str]:
    """Variables with which this environment's programs find MLflow's client, behind their own."""
    [packages] = (python.parent.parent / "lib").glob("python*/site-packages")
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.path.append({str(packages)!r})\n")
    return {**os.environ, "PYTHONPATH": f"{folder}:{REPOSITORY}", "OMP_NUM_THREADS": "1"}


def run(words: list[object], environment: dict[str, str]) -> str:
    """What a program of this checkout prints; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def runs(python: Path, uri: str, experiment: str) -> list[dict]:
    answered = subprocess.run(
        [python, "-c", RUNS],
        env={**os.environ, "MLFLOW_TRACKING_URI": uri},
        capture_output=True,
        text=True,
        check=True,
    )
    return [one for one in json.loads(answered.stdout) if one["experiment"] == experiment]


def test_a_training_on_a_real_server(python, server, environment, tmp_path):
    job = make_job(tmp_path / "job", {"train": 4, "validation": 2, "test": 2}, epochs=2)
    variables = {"MLFLOW_TRACKING_URI": server, "MLFLOW_EXPERIMENT_NAME": "one"}
    more = {**environment, **variables, "TRAINING_JOB_NAME": "yoga-1"}
    said = run(["train", "--root", job.root], more)
    [found] = runs(python, server, "one")
    assert f"mlflow: run {found['id']} on {server}" in said
    assert (found["name"], found["status"]) == ("yoga-1", "FINISHED")
    assert found["params"]["epochs"] == "2"
    assert found["epochs"] == [1, 2]
    measured = json.loads((job.output_data / "metrics.json").read_text())
    assert found["metrics"]["test_accuracy"] == measured["test_accuracy"]
    assert "output/report.html" in found["files"]["output"]
    assert {"artifact/model.json", "artifact/model.onnx"} <= set(found["files"]["artifact"])


def test_a_search_is_a_run_with_its_trials_below(python, server, environment, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(document({"budgets": {"jobs": 2}}, epochs=1)))
    data = draw_data(tmp_path / "data")
    more = {**environment, "MLFLOW_TRACKING_URI": server, "MLFLOW_EXPERIMENT_NAME": "two"}
    run(["tune", recipe, "--data", data, "--out", tmp_path / "out", "--workers", "1"], more)
    found = {one["name"]: one for one in runs(python, server, "two")}
    parent = found.pop("search small")
    assert parent["status"] == "FINISHED"
    assert "search/tuning.html" in parent["files"]["search"]
    assert "best_objective" in parent["metrics"]
    assert len(found) == 2
    for trial in found.values():
        assert trial["tags"]["mlflow.parentRunId"] == parent["id"]
        assert trial["status"] == "FINISHED"
        assert trial["epochs"] == [1]


def test_a_server_that_is_down_costs_little_and_fails_nothing(environment, tmp_path):
    job = make_job(tmp_path / "job", {"train": 2, "validation": 2}, epochs=1)
    uri = f"http://127.0.0.1:{free_port()}"
    started = time.monotonic()
    said = run(["train", "--root", job.root], {**environment, "MLFLOW_TRACKING_URI": uri})
    assert time.monotonic() - started < 600
    assert said.count("mlflow: nothing more is sent to the server") == 1
    assert (job.model / "model.json").is_file()


def test_tensorboard_reads_both_runs_times_hyperparameters_and_pictures(python, tmp_path):
    folder = tmp_path / "events"
    write_scalars(folder, HISTORY, TIMES)
    write_results(folder, parse(SMALL), {"test_accuracy": 0.5}, answers(tmp_path), MODEL, 2)
    done = subprocess.run(
        [python, "-c", EVENTS, folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["train"]["scalars"]["loss"] == [[1, TIMES[1]], [2, TIMES[2]]]
    assert found["validation"]["scalars"]["loss"] == [[1, TIMES[1]]]
    assert found["."]["hparams"] == sorted(dataclasses.asdict(parse(SMALL)))
    assert set(found["."]["images"]) == {"test/confusion", "test/mistakes"}
