"""Trainings of local SageMaker whose container is a shell script, in this process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_sagemaker import folders
from local_sagemaker.jobs import training
from local_sagemaker.jobs.training_run import KIND
from local_sagemaker.platform import Platform
from runtime.container_engine import ProcessEngine, RunSpec
from runtime.instances import Instance
from tests.support.sagemakers import training_request, until


class ShellEngine(ProcessEngine):
    """Runs a shell script in the tree of a training in place of its image."""

    def __init__(self, script: str):
        super().__init__()
        self.script = script
        self.started: list[RunSpec] = []

    def start(self, spec: RunSpec, on_line: Callable[[str], None] | None) -> Instance:
        self.started.append(spec)
        return Instance(["sh", "-c", f"cd {spec.folder} && {self.script}"], on_line)


def ran(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str | ShellEngine,
    container_environment: dict[str, str] | None = None,
    **more: object,
) -> dict[str, Any]:
    """The record of a training that a script stands in for; its bucket is tmp_path/s3."""
    monkeypatch.setattr(folders, "_roots", [tmp_path])
    platform = Platform(tmp_path / "state", "process")
    platform.container_environment = container_environment or {}
    if isinstance(script, str):
        script = ShellEngine(script)
    platform.container_engine = script
    to = f"file://{tmp_path}/s3"
    request = training_request("links") | {
        "InputDataConfig": [],
        "OutputDataConfig": {"S3OutputPath": f"{to}/out"},
        "CheckpointConfig": {"S3Uri": f"{to}/checkpoints"},
        "DebugHookConfig": {"S3OutputPath": f"{to}/debug"},
    }
    training.create(platform, {**request, **more}, "eu-west-1")
    until(lambda: platform.runner(KIND, "links") is None)
    return training.describe(platform, {"TrainingJobName": "links"}, "eu-west-1")
