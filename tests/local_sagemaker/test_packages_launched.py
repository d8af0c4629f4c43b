"""`launch register`, `approve` and `deploy --package` as a user types them, on local SageMaker."""

import subprocess
import sys

import pytest

from tests.clients.place import place
from tests.support.jobs import REPOSITORY

pytestmark = pytest.mark.verify
RECIPE = "name: registered\nsagemaker:\n  endpoint: {instance_type: ml.m5.large}\n"


def test_a_registered_version_is_approved_and_answers(tmp_path, colours):
    with place(tmp_path, "process", colours.root) as here:
        (tmp_path / "recipe.yaml").write_text(RECIPE)

        def launch(command: str, *words: str) -> str:
            options = ["--out", str(tmp_path / "out"), "--poll", "0.2"]
            done = subprocess.run(
                [sys.executable, "-m", "launch", command, "recipe.yaml", *words, *options],
                cwd=tmp_path,
                env={**here.environment, "PYTHONPATH": str(REPOSITORY)},
                capture_output=True,
                text=True,
                check=False,
            )
            return f"{done.stdout}{done.stderr}"

        model = str(tmp_path / "model.tar.gz")
        assert "/registered/1 is PendingManualApproval" in launch("register", "--model", model)
        assert "is registered as arn:" in launch("register", "--model", model)
        refused = launch("deploy", "--package", "1")
        assert "is PendingManualApproval; `launch approve` approves it" in refused
        assert "is Approved" in launch("approve", "--why", "seen")
        assert "Approved               test_accuracy=" in launch("packages")
        assert "registered is InService" in launch("deploy", "--package", "latest")
        assert "red" in launch("invoke", here.environment["PHOTO"])
        said = launch("delete", "--yes", "--data")
        assert "delete: ModelPackage arn:" in said
        assert "objects removed" in said
        assert "packages: none of registered" in launch("packages")
