"""A day on local SageMaker, as a user types it: what goes wrong loses nothing and leaves nothing.

Two trainings at once, a search in the background, an endpoint meanwhile, a killed launcher, lost
notes, and at the end all of it removed.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from tests.clients.place import Place, place
from tests.support.jobs import REPOSITORY

pytestmark = pytest.mark.verify
RECIPE = """\
name: a day
hyperparameters:
  model: shufflenet_v2_x0_5
  weights: none
  trainable: all
  image_size: 32
  epochs: 1
  batch_size: 4
  quantize: false
sagemaker:
  channels: {train: photos/train, validation: photos/validation}
  training: {instance_type: ml.m5.large, max_run_s: 3600}
  endpoint: {instance_type: ml.m5.large}
tuning:
  - name: a-day
    strategy: Random
    objective:
      metric: validation_accuracy
      regex: 'epoch=.* validation_accuracy=([0-9.]+)'
      direction: Maximize
    budgets: {jobs: 2, parallel: 1}
    ranges:
      lr: {type: Continuous, min: 0.001, max: 0.1, scale: Logarithmic}
"""
MOST_S = 1200  # of one wait, on a busy machine


class Day:
    """The commands of one user in one folder, and a log of all of them."""

    def __init__(self, here: Place, folder: Path):
        self.here = here
        self.folder = folder
        self.log: list[str] = []

    def begin(self, command: str, *words: str) -> subprocess.Popen[str]:
        """Start a command; its output goes to a file that `said` reads."""
        number = len(self.log)
        options = ["--out", str(self.folder / "out"), "--poll", "0.5"]
        typed = [sys.executable, "-m", "launch", command, "recipe.yaml", *words, *options]
        self.log.append(" ".join([command, *words]))
        with open(self.folder / f"{number}.log", "w") as output:
            return subprocess.Popen(
                typed,
                cwd=self.folder,
                env={**self.here.environment, "PYTHONPATH": str(REPOSITORY)},
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def said(self, number: int = -1) -> str:
        numbers = range(len(self.log))
        return (self.folder / f"{numbers[number]}.log").read_text()

    def run(self, command: str, *words: str) -> str:
        """A command to its end: what it said. It must succeed."""
        process = self.begin(command, *words)
        code = process.wait(MOST_S)
        said = self.said()
        assert code == 0, said
        return said

    def whole(self) -> str:
        """The day as a log: what was typed, and what each command said."""
        parts = []
        for number, typed in enumerate(self.log):
            parts.append(f"$ launch {typed}\n{self.said(number)}")
        return "\n".join(parts)


def until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + MOST_S
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def names(said: str, kind: str) -> set[str]:
    """The names of a kind in what `status` said."""
    lines = [line.partition(":")[0].split(" ", 1) for line in said.splitlines()]
    return {words[1] for words in lines if words[0] == kind and len(words) == 2}


def test_nothing_is_lost_and_nothing_is_left(tmp_path, colours):
    with place(tmp_path, "process", colours.root) as here:
        (tmp_path / "recipe.yaml").write_text(RECIPE)
        day = Day(here, tmp_path)
        day.run("upload")
        # Two at once: each gets a job of its own.
        pair = [day.begin("train", "--again"), day.begin("train", "--again")]
        assert [process.wait(MOST_S) for process in pair] == [0, 0], day.said() + day.said(-2)
        trained = names(day.run("status"), "training")
        assert len(trained) == 2
        # A search in the background, whose launcher is killed once its job runs; deploy meanwhile.
        search = day.begin("tune")
        number = len(day.log) - 1
        until(lambda: "InProgress" in day.said(number), "the search runs")
        assert "is InService" in day.run("deploy", "--model", "model.tar.gz")
        search.kill()
        search.wait()
        # Another launcher is killed right after its job was started.
        third = day.begin("train", "--again")
        number = len(day.log) - 1
        until(lambda: "started: training job" in day.said(number), "the third training")
        third.kill()
        third.wait()
        before = day.run("status")
        shutil.rmtree(tmp_path / "out" / "launch")
        after = day.run("status")
        for kind, count in (("training", 3), ("tuning", 1), ("endpoint", 1)):
            assert names(before, kind) == names(after, kind)
            assert len(names(after, kind)) == count
        # Lost again: the same command follows what runs, and pays for nothing a second time.
        shutil.rmtree(tmp_path / "out" / "launch")
        assert " as a-day-" in day.run("tune")
        day.run("follow")
        assert "red" in day.run("invoke", here.environment["PHOTO"])
        ended = day.run("status")
        assert ended.count(": Completed") == 4, ended
        said = day.run("delete", "--yes", "--data")
        assert "delete: Endpoint a-day" in said
        assert left(here) == {"Endpoints": 0, "EndpointConfigs": 0, "Models": 0, "running": 0}
        assert "endpoint" not in day.run("status")
        print(day.whole())  # pytest -rP shows it


def left(here: Place) -> dict[str, int]:
    """How much SageMaker still has, by kind, and how many jobs run; an object in S3 is an error."""
    settings = here.environment
    session = boto3.Session(
        settings["AWS_ACCESS_KEY_ID"],
        settings["AWS_SECRET_ACCESS_KEY"],
        region_name=settings["AWS_REGION"],
    )
    url = settings["AWS_ENDPOINT_URL"]
    sagemaker = session.client("sagemaker", endpoint_url=url)
    until(lambda: not sagemaker.list_endpoints()["Endpoints"], "the endpoint is gone")
    jobs = sagemaker.list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"]
    account = session.client("sts", endpoint_url=url).get_caller_identity()["Account"]
    bucket = f"sagemaker-{settings['AWS_REGION']}-{account}"
    objects = session.client("s3", endpoint_url=url).list_objects_v2(
        Bucket=bucket, Prefix="slipway/a-day/"
    )
    assert objects["KeyCount"] == 0, objects
    return {
        "Endpoints": len(sagemaker.list_endpoints()["Endpoints"]),
        "EndpointConfigs": len(sagemaker.list_endpoint_configs()["EndpointConfigs"]),
        "Models": len(sagemaker.list_models()["Models"]),
        "running": len(jobs),
    }
