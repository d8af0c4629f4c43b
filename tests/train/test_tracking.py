"""Recording on an MLflow server: what is sent, and that a bad server costs a training nothing.

tests/clients/test_trackers.py has a real server.
"""

import sys
import threading
from types import SimpleNamespace

import pytest

from recipes.hyperparameters import parse
from runtime.mlflow_variables import options, reachable
from tests.support.jobs import SMALL
from train import tracking
from train.job import Job
from train.tracking import NoTracker, Tracker, open_tracker, tracked

URI = "http://127.0.0.1:5000"


class Server:
    """A stand-in for MLflow's client, which keeps what it is given."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []
        self.fault: Exception | None = None
        self.hangs = threading.Event()
        self.hangs.set()

    def __getattr__(self, name):
        def call(*words, **named):
            self.hangs.wait()
            if self.fault:
                raise self.fault
            self.calls.append((name, words, named))
            info = SimpleNamespace(run_id="r1")
            return SimpleNamespace(info=info, experiment_id="7")

        return call

    def named(self, name: str) -> list[tuple]:
        return [call for call in self.calls if call[0] == name]


@pytest.fixture
def server(monkeypatch):
    stand_in = Server()
    module = SimpleNamespace(MlflowClient=lambda: stand_in)
    entities = SimpleNamespace(Param=lambda *words: words, Metric=lambda *words: words)
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    monkeypatch.setattr(tracking, "find_spec", lambda name: module)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", URI)
    for name in tracking.DEFAULTS:
        monkeypatch.setenv(name, "1")  # so that what the tracker sets is gone afterwards
    yield stand_in
    stand_in.hangs.set()


def job_of(folder) -> Job:
    (folder / "output/data").mkdir(parents=True)
    (folder / "output/data/metrics.json").write_text('{"test_accuracy": 0.9, "precision": "f32"}')
    (folder / "output/data/report.html").write_text("")
    (folder / "model").mkdir()
    (folder / "model/model.json").write_text("{}")
    return Job.at(folder)


def test_a_training_is_a_run_with_parameters_metrics_and_files(server, tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINING_JOB_NAME", "yoga-1")
    hp = parse(SMALL)
    with tracked(job_of(tmp_path), hp, True, lambda: False) as tracker:
        tracker.metrics({"epoch": 1, "train_loss": 0.5, "validation_loss": None}, 1)
    [(_, words, named)] = server.named("create_run")
    assert words == ("7",)
    assert named["run_name"] == "yoga-1"
    batches = server.named("log_batch")
    assert ("epochs", "3") in batches[0][2]["params"]
    assert [metric[:2] for metric in batches[1][2]["metrics"]] == [
        ("epoch", 1.0),
        ("train_loss", 0.5),
    ]
    assert [metric[0] for metric in batches[2][2]["metrics"]] == ["test_accuracy"]
    sent = [words[1] for _, words, _ in server.named("log_artifact")]
    assert sent == [
        str(tmp_path / "output/data" / name) for name in ("metrics.json", "report.html")
    ]
    assert server.named("log_artifacts")[0][1] == ("r1", str(tmp_path / "model"), "artifact")
    assert server.calls[-1] == ("set_terminated", ("r1", "FINISHED"), {})


def test_a_trial_is_a_run_below_its_search(server, tmp_path, monkeypatch):
    monkeypatch.setenv(tracking.PARENT, "p1")
    root = tmp_path / "yoga-1" / "yoga-1-003"
    root.mkdir(parents=True)
    with tracked(Job.at(root), parse(SMALL), True, lambda: True):
        pass
    [(_, _, named)] = server.named("create_run")
    assert named["run_name"] == "yoga-1-003"
    assert named["tags"]["mlflow.parentRunId"] == "p1"
    assert named["tags"]["slipway.tuning_job"] == "yoga-1"
    assert server.calls[-1][1] == ("r1", "KILLED")


def test_a_server_that_fails_is_one_warning(server, tmp_path, caplog):
    server.fault = ConnectionError("no route\nand more")
    with tracked(job_of(tmp_path), parse(SMALL), True, lambda: False) as tracker:
        for epoch in range(5):
            tracker.metrics({"train_loss": 0.5}, epoch)
    assert caplog.messages == ["mlflow: nothing more is sent to the server (no route)"]
    assert not server.calls


def test_a_server_that_hangs_is_waited_for_a_while_only(server, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(tracking, "END_S", 0.05)
    server.hangs.clear()
    with tracked(job_of(tmp_path), parse(SMALL), True, lambda: False) as tracker:
        tracker.metrics({"train_loss": 0.5}, 1)
    assert caplog.messages == ["mlflow: not all was sent within 0 s; the files have it all"]
    assert not Tracker().wait_begun(0.05)


def test_a_failed_training_is_a_failed_run(server, tmp_path):
    with pytest.raises(ValueError), tracked(job_of(tmp_path), parse(SMALL), True, lambda: False):
        raise ValueError
    assert server.calls[-1][1] == ("r1", "FAILED")


def test_without_the_package_there_is_one_sentence(monkeypatch, caplog):
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert type(open_tracker()) is NoTracker
    assert not caplog.messages
    monkeypatch.setenv("MLFLOW_TRACKING_URI", URI)
    assert type(open_tracker()) is NoTracker
    [sentence] = caplog.messages
    assert sentence.endswith("type: pip install mlflow-skinny")


@pytest.mark.parametrize(
    "uri, gateway, expected",
    [
        ("http://127.0.0.1:5000", "172.17.0.1", "http://172.17.0.1:5000"),
        ("http://localhost/mlflow", "172.17.0.1", "http://172.17.0.1/mlflow"),
        ("http://localhost:5000", None, "http://127.0.0.1:5000"),
        ("http://localhost.example.org", "172.17.0.1", "http://localhost.example.org"),
        ("arn:aws:sagemaker:eu-west-1:1:mlflow-app/a", "172.17.0.1", None),
    ],
)
def test_a_container_reaches_a_server_of_this_machine(uri, gateway, expected):
    assert reachable(uri, lambda: gateway) == (expected or uri)


def test_a_container_gets_the_variables_and_no_secret_in_its_command():
    given = {"MLFLOW_TRACKING_URI": URI, "MLFLOW_TRACKING_TOKEN": "secret", "OTHER": "1"}
    found = options(lambda: "10.0.0.1", given)
    assert found == [
        "--env=MLFLOW_TRACKING_URI=http://10.0.0.1:5000",
        "--env=MLFLOW_TRACKING_TOKEN",
    ]
    assert options(lambda: "10.0.0.1", {"MLFLOW_TRACKING_TOKEN": "secret"}) == []
