"""`launch deploy` with `endpoint.traffic` as a user types it, on local SageMaker."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.place import place
from tests.support.jobs import REPOSITORY
from tests.support.sagemakers import Client, client_at, until

pytestmark = pytest.mark.verify
RECIPE = """
name: moved
sagemaker:
  endpoint: {instance_type: ml.m5.large, instance_count: 2, traffic: %s, bake_s: %d}
"""


@pytest.mark.parametrize("traffic", ["canary", "linear"])
def test_an_update_moves_part_by_part_and_an_alarm_rolls_it_back(tmp_path, colours, traffic):
    with place(tmp_path, "process", colours.root) as here:
        command = [sys.executable, "-m", "launch", "deploy", "recipe.yaml", "--poll", "0.2"]
        command += ["--out", str(tmp_path / "out"), "--model", str(tmp_path / "model.tar.gz")]
        environment = {**here.environment, "PYTHONPATH": str(REPOSITORY)}

        def deploy(bake_s: int) -> subprocess.Popen[str]:
            write_recipe(tmp_path, traffic, bake_s)
            return subprocess.Popen(
                command,
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )

        assert "moved is InService" in deploy(1).communicate()[0]
        assert "moved is InService" in deploy(1).communicate()[0]  # an update, step by step
        watched = deploy(600)

        def moved() -> bool:
            answer = client(here.environment, "sagemaker").describe_endpoint(EndpointName="moved")
            return "PendingDeploymentSummary" in answer

        until(moved)
        client(here.environment, "cloudwatch").set_alarm_state(
            AlarmName="slipway-moved-5xx", StateValue="ALARM", StateReason="the test says so"
        )
        said = watched.communicate()[0]
        assert watched.returncode == 1
        assert "deploy: failed: the update was rolled back; the endpoint serves moved-" in said
        assert "the alarm 'slipway-moved-5xx' is in the state ALARM" in said


def write_recipe(folder: Path, traffic: str, bake_s: int) -> None:
    (folder / "recipe.yaml").write_text(RECIPE % (traffic, bake_s))


def client(environment: dict[str, str], service: str) -> Client:
    names = (f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL")
    url = next(environment[name] for name in names if name in environment)
    key = environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
    return client_at(url, service, environment["AWS_REGION"], key)
