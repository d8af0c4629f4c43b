"""A training that leaves links to the machine's files: none of them is followed."""

import tarfile
from pathlib import Path

import pytest

from local_sagemaker.contract import ApiError
from local_sagemaker.jobs import training
from local_sagemaker.platform import Platform
from runtime.container_engine import RunSpec
from runtime.instances import Instance
from tests.support.sagemakers import training_request
from tests.support.shell_engine import ShellEngine, ran

pytestmark = pytest.mark.slow

SECRET = "the user's own"
# What a container does to its /opt/ml; {home} is where its links lead to out here.
WAYS = {
    "failure": "ln -s {home}/secret output/failure; exit 3",
    "model's file": "echo w > model/w; ln -s {home}/secret model/secret",
    "model": "rm -r model; ln -s {home} model",
    "output": "rm -r output; ln -s {home} output",
    "output/data": "rm -r output/data; ln -s {home} output/data; ln -s {home} output/tensors",
    "checkpoints": "rm -r checkpoints; ln -s {home} checkpoints",
    "checkpoint": "echo c > checkpoints/c; ln -s {home}/secret checkpoints/secret",
    "findings": "ln -s {home}/secret output/findings.json; mkdir output/tensors",
    "a folder between": "mkdir deep; ln -s {home} deep/tensors",
}


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "secret").write_text(SECRET)
    (home / "secret.pt").write_text(SECRET)
    return home


def everything_in(bucket: Path) -> dict[str, bytes]:
    """The files in the bucket, and in its archives."""
    found = {}
    for path in bucket.rglob("*"):
        assert not path.is_symlink()
        if path.is_file():
            found[path.name] = path.read_bytes()
        if path.name.endswith(".tar.gz"):
            with tarfile.open(path) as archive:
                for member in archive:
                    content = archive.extractfile(member) if member.isfile() else None
                    found[f"{path.name}/{member.name}"] = content.read() if content else b""
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("compression", ["GZIP", "NONE"])
def test_no_link_out_of_a_tree_is_followed(tmp_path, monkeypatch, home, way, compression):
    output = {
        "S3OutputPath": f"file://{tmp_path}/s3/out",
        "CompressionType": compression,
    }
    job = ran(tmp_path, monkeypatch, WAYS[way].format(home=home), OutputDataConfig=output)
    assert SECRET not in str(job)
    bucket = everything_in(tmp_path / "s3")
    assert not any(SECRET.encode() in content for content in bucket.values()), bucket
    assert [(home / name).read_text() for name in ("secret", "secret.pt")] == [SECRET, SECRET]
    assert len(list(home.iterdir())) == 2  # nothing was written there either
    failed = way == "failure"
    assert job["TrainingJobStatus"] == ("Failed" if failed else "Completed"), job
    if way in ("model's file", "checkpoint"):
        assert b"w\n" in bucket.values() or b"c\n" in bucket.values()  # the rest is kept


def test_a_link_while_the_training_runs_is_not_followed(tmp_path, monkeypatch, home):
    """Checkpoints are sent as they come: a folder that turns into a link is sent no more."""
    monkeypatch.setattr("local_sagemaker.jobs.training_run.EVERY_S", 0.05)
    script = f"""
        echo one > checkpoints/one.pt; sleep 0.5
        mv checkpoints kept; ln -s {home} checkpoints; sleep 0.5
        rm checkpoints; mv kept checkpoints; ln -s {home}/secret checkpoints/two.pt; sleep 0.5
    """.strip()
    job = ran(tmp_path, monkeypatch, script)
    assert job["TrainingJobStatus"] == "Completed", job
    assert everything_in(tmp_path / "s3" / "checkpoints") == {"one.pt": b"one\n"}


def test_a_spot_trainings_next_attempt_fetches_into_its_own_tree(tmp_path, monkeypatch, home):
    """The first attempt leaves links where the second one's data and checkpoints go."""
    kept = tmp_path / "s3" / "checkpoints"
    kept.mkdir(parents=True)
    (kept / "secret").write_text("a checkpoint")
    script = f"""
        if test -e again; then test -L own || echo fresh > model/seen; exit 0; fi
        touch again; rm -r own input output checkpoints
        for name in own input output checkpoints; do ln -s {home} $name; done
        echo ready; sleep 30
    """.strip()
    platforms = []
    real = Platform.start

    def started(platform, kind, name, runner):
        platforms.append(runner)
        real(platform, kind, name, runner)

    monkeypatch.setattr(Platform, "start", started)
    monkeypatch.setattr(
        ShellEngine, "start", lambda engine, spec, on_line: interrupting(engine, spec, platforms)
    )
    job = ran(
        tmp_path,
        monkeypatch,
        script,
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
        CheckpointConfig={"S3Uri": f"file://{kept}", "LocalPath": "/opt/ml/own/deep"},
    )
    assert job["TrainingJobStatus"] == "Completed", job
    assert (home / "secret").read_text() == SECRET
    assert len(list(home.iterdir())) == 2
    assert everything_in(tmp_path / "s3")["model.tar.gz/seen"] == b"fresh\n"


def interrupting(engine: ShellEngine, spec: RunSpec, runners: list) -> Instance:
    """Start the script; once it says ready, the spot instance is taken back."""

    def on_line(line: str) -> None:
        if line.strip() == "ready":
            runners[0].halt("Interrupted")

    return Instance(["sh", "-c", f"cd {spec.folder} && {engine.script}"], on_line)


@pytest.mark.parametrize(
    "change",
    [
        {"CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": "/opt/ml/../../etc"}},
        {"ProfilerConfig": {"ProfilingParameters": {"LocalPath": "/opt/ml/../../etc"}}},
        {"ProfilerConfig": {"ProfilingParameters": {"LocalPath": "/etc"}}},
    ],
)
def test_a_local_path_out_of_the_tree_is_refused(tmp_path, change):
    platform = Platform(tmp_path, "process")
    with pytest.raises(ApiError, match="must lie below /opt/ml"):
        training.create(platform, training_request("path") | change, "eu-west-1")


def test_a_rules_name_is_no_path(tmp_path, monkeypatch, home):
    rule = {
        "RuleConfigurationName": "../../../../home/rule",
        "RuleEvaluatorImage": "any",
        "RuleParameters": {"rule_to_invoke": "LossNotDecreasing", "num_steps": "3"},
    }
    job = ran(tmp_path, monkeypatch, "true", DebugRuleConfigurations=[rule])
    assert len(job["DebugRuleEvaluationStatuses"]) == 1
    assert len(list(home.iterdir())) == 2


def test_the_rules_of_a_training_that_failed_are_judged(tmp_path, monkeypatch):
    rule = {
        "RuleConfigurationName": "Loss",
        "RuleEvaluatorImage": "any",
        "RuleParameters": {"rule_to_invoke": "LossNotDecreasing"},
    }
    job = ran(tmp_path, monkeypatch, "exit 3", DebugRuleConfigurations=[rule])
    assert job["TrainingJobStatus"] == "Failed"
    (status,) = job["DebugRuleEvaluationStatuses"]
    assert status["RuleEvaluationStatus"] == "Error"
    assert status["StatusDetails"]
