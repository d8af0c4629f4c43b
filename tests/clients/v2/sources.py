"""SDK v2: where a script's code may come from, and which launchers it may ask for."""

import tarfile
from pathlib import Path

import boto3
import sagemaker
from rows import BUCKET, ROLE, TRAIN_IMAGE, row, tell
from sagemaker.pytorch import PyTorch

LOGS = "/aws/sagemaker/TrainingJobs"
CODE = Path("sources")
session = sagemaker.Session()
logs = boto3.client("logs")
(CODE / "beside").mkdir(parents=True, exist_ok=True)
(CODE / "alone").mkdir()
(CODE / "beside" / "helper.py").write_text('WORD = "helped"\n')
(CODE / "alone" / "mine.py").write_text(
    """
import os
import torch.distributed as processes

if "WORLD_SIZE" in os.environ:
    processes.init_process_group("gloo")
    print("processes:", processes.get_world_size())
    processes.destroy_process_group()
else:
    import helper
    print("word:", helper.WORD)
"""
)


def fitted(source: Path | str, count: int = 1, **more) -> str:
    """What a training of the script printed."""
    estimator = PyTorch(
        entry_point="mine.py",
        source_dir=str(source),
        image_uri=TRAIN_IMAGE,
        role=ROLE,
        instance_count=count,
        instance_type="ml.m5.large",
        disable_profiler=True,
        debugger_hook_config=False,
        **more,
    )
    estimator.fit(logs=False)
    found = logs.filter_log_events(
        logGroupName=LOGS, logStreamNamePrefix=f"{estimator.latest_training_job.name}/"
    )
    return "\n".join(event["message"] for event in found["events"])


with row("PyTorch.fit, source_dir in S3"):
    with tarfile.open(CODE / "source.tar.gz", "w:gz") as archive:
        archive.add(CODE / "alone" / "mine.py", "mine.py")
        archive.add(CODE / "beside" / "helper.py", "helper.py")
    uploaded = session.upload_data(str(CODE / "source.tar.gz"), BUCKET, "sources")
    assert "word: helped" in fitted(uploaded)

with row("PyTorch.fit, dependencies"):
    assert "word: helped" in fitted(CODE / "alone", dependencies=[str(CODE / "beside/helper.py")])

with row("PyTorch.fit, distribution torch_distributed, two hosts"):
    asked = {"torch_distributed": {"enabled": True}}
    assert "processes: 2" in fitted(CODE / "alone", 2, distribution=asked)

with row("PyTorch.fit, distribution mpi: one sentence"):
    try:
        fitted(CODE / "alone", distribution={"mpi": {"enabled": True}})
    except sagemaker.exceptions.UnexpectedStatusException as error:
        assert "asks for a launcher that this image does not have" in str(error)
    else:
        raise AssertionError("it did not fail")

tell()
