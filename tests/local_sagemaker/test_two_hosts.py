"""Two hosts on local SageMaker, as containers and as processes: killed, resumed, of two types.

They end as one host ends with the same global batch.
"""

import csv
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.support.jobs import draw_channel
from tests.support.sagemakers import (
    Client,
    Cloud,
    ended,
    local_sagemaker,
    moto,
    training_request,
    until,
)

pytestmark = pytest.mark.verify
PHOTOS = 7  # of each of three classes: 21, in batches of 8, 8 and 5
# A network that begins near its optimum keeps to its losses: see tests/train/test_distributed.py.
EXACT = {
    "model": "resnet18",
    "precision": "float32",
    "optimizer": "sgd",
    "momentum": 0,
    "lr": 0.00002,
    "image_size": 96,
    "resize": 96,
}
ENDLESS = 900
LIMIT_S = 600.0


@pytest.fixture(params=["process", "docker"])
def cloud(request, tmp_path) -> Iterator[Cloud]:
    if request.param == "docker":
        request.getfixturevalue("images")
    with moto() as url, local_sagemaker(tmp_path / "state", url, engine=request.param) as made:
        for seed, name in enumerate(("train", "validation")):
            draw_channel(tmp_path / name, PHOTOS - 2 * seed, seed=100 * seed)
        yield made


def job(folder: Path, name: str, hosts: int, **hyperparameters: object) -> dict:
    """A training of some hosts whose channels, checkpoints and output are folders here."""
    made = training_request(name, **EXACT | hyperparameters)
    made["ResourceConfig"] |= {"InstanceCount": hosts}
    made["Environment"] = {"OMP_NUM_THREADS": "1"}
    made["InputDataConfig"] = [channel(folder, name) for name in ("train", "validation")]
    made["CheckpointConfig"] = {"S3Uri": f"file://{folder}/checkpoints-{hosts}"}
    made["OutputDataConfig"] = {
        "S3OutputPath": f"file://{folder}/out",
        "CompressionType": "NONE",
    }
    return made


def channel(folder: Path, name: str, **source: object) -> dict:
    given = {"S3DataType": "S3Prefix", "S3Uri": f"file://{folder}/{name}", **source}
    return {"ChannelName": name, "DataSource": {"S3DataSource": given}}


def train(sagemaker: Client, request: dict) -> dict:
    """The record of a training that must succeed."""
    sagemaker.create_training_job(**request)
    record = ended(sagemaker, request["TrainingJobName"], LIMIT_S)
    assert record["TrainingJobStatus"] == "Completed", record.get("FailureReason")
    return record


def log_of(cloud: Cloud, name: str) -> str:
    folder = cloud.state / "logs" / "TrainingJobs" / name
    return "".join(path.read_text(errors="replace") for path in sorted(folder.glob("*")))


def curve(folder: Path, name: str) -> list[list[float]]:
    """Losses and accuracies of each epoch."""
    path = folder / "out" / name / "output/output/history.csv"
    rows = csv.DictReader(path.read_text().splitlines())
    return [
        [float(row[key]) for key in row if key.endswith(("_loss", "_accuracy"))] for row in rows
    ]


def kill_host(cloud: Cloud, number: int) -> None:
    """kill -9 of all of one host's processes, as when its machine fails."""
    label = f"slipway.local-sagemaker={cloud.state}"
    listed = subprocess.run(
        ["docker", "ps", "--format", "{{.ID}} {{.Names}}", "--filter", f"label={label}"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for line in listed.splitlines():
        identity = line.split()[0]
        host = subprocess.check_output(
            ["docker", "inspect", "-f", "{{.Config.Hostname}}", identity], text=True
        )
        if host.strip() == f"algo-{number}":
            subprocess.run(["docker", "kill", identity], check=True, stdout=subprocess.DEVNULL)
            return
    for process in psutil.Process(cloud.process.pid).children(recursive=True):
        words = process.cmdline()
        if any(f"/127.0.0.{number}/" in word for word in words) and "train" in words:
            for part in [*process.children(recursive=True), process]:
                part.kill()
            return
    raise AssertionError("no such host")


@pytest.mark.parametrize("victim", [1, 2])
def test_a_killed_host_fails_the_job_and_the_next_one_goes_on(cloud, tmp_path, victim):
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_training_job(**job(tmp_path, "first", 2, epochs=ENDLESS))
    until(lambda: "epoch=2 " in log_of(cloud, "first"), LIMIT_S)
    kill_host(cloud, victim)
    record = ended(sagemaker, "first", LIMIT_S)
    assert record["TrainingJobStatus"] == "Failed"
    assert record["FailureReason"].startswith("AlgorithmError: ")
    saved = tmp_path / "checkpoints-2"
    epoch = max(int(path.stem.partition("-")[2]) for path in saved.glob("checkpoint-*.pt"))
    # Killed in the middle of an epoch, or between two: what was done stays.
    train(sagemaker, job(tmp_path, "second", 2, epochs=epoch + 2))
    assert f"going on from the checkpoint of epoch {epoch}" in log_of(cloud, "second")
    assert "2 on 2 hosts, gradients over gloo" in log_of(cloud, "second")
    train(sagemaker, job(tmp_path, "alone", 1, epochs=epoch + 2))
    ours = curve(tmp_path, "second")
    assert len(ours) == epoch + 2
    np.testing.assert_allclose(ours, curve(tmp_path, "alone"), rtol=2e-3, atol=1e-5)


def test_hosts_of_two_types_train_together(cloud, tmp_path):
    request = job(tmp_path, "types", 2, epochs=2)
    request["ResourceConfig"] = {
        "VolumeSizeInGB": 10,
        "InstanceGroups": [
            {"InstanceGroupName": "big", "InstanceType": "ml.c5.xlarge", "InstanceCount": 1},
            {"InstanceGroupName": "small", "InstanceType": "ml.m5.large", "InstanceCount": 1},
        ],
    }
    given = channel(tmp_path, "train", InstanceGroupNames=["big", "small"])
    request["InputDataConfig"][0] = given
    sagemaker = cloud.client("sagemaker")
    record = train(sagemaker, request)
    assert [group["InstanceType"] for group in record["ResourceConfig"]["InstanceGroups"]] == [
        "ml.c5.xlarge",
        "ml.m5.large",
    ]
    train(sagemaker, job(tmp_path, "alone", 1, epochs=2))
    np.testing.assert_allclose(curve(tmp_path, "types"), curve(tmp_path, "alone"), rtol=2e-3)


def test_a_group_without_photos_is_one_sentence(cloud, tmp_path):
    request = job(tmp_path, "without", 2, epochs=2)
    request["ResourceConfig"] = {
        "VolumeSizeInGB": 10,
        "InstanceGroups": [
            {"InstanceGroupName": name, "InstanceType": "ml.m5.large", "InstanceCount": 1}
            for name in ("big", "small")
        ],
    }
    for given in request["InputDataConfig"]:
        given["DataSource"]["S3DataSource"]["InstanceGroupNames"] = ["big"]
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_training_job(**request)
    record = ended(sagemaker, "without", LIMIT_S)
    assert "input/data lacks the channel train" in record["FailureReason"]
    assert json.dumps(record["FailureReason"]).count("\\n") == 0
