"""The machine's use by a user's own training, measured from outside, where smdebug reads it."""

import os
import runpy
import sys
from pathlib import Path

import pytest

from diagnose.smdebug_compat import load_smdebug
from local_sagemaker import folders
from local_sagemaker.jobs.system_sampler import SystemSampler, is_wanted
from runtime.instances import Instance
from tests.support.jobs import draw_channel
from tests.support.sagemakers import (
    BUCKET,
    TRAIN_IMAGE,
    ended,
    local_sagemaker,
    moto,
    put_folder,
    training_request,
    until,
)

pytestmark = pytest.mark.training
BUSY = """
import time
block = bytearray(60 * 2**20)
print("ready", flush=True)
while True:
    pass
"""


def names_below(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*.json")}


def test_a_busy_process_is_measured_while_it_runs_and_smdebug_reads_it(tmp_path, monkeypatch):
    folders.allow([tmp_path])
    monkeypatch.setattr("local_sagemaker.jobs.system_sampler.FILE_S", 0.3)
    job = {
        "TrainingJobName": "mine",
        "ProfilerConfig": {
            "S3OutputPath": f"file://{tmp_path}/s3",
            "ProfilingIntervalInMilliseconds": 100,
        },
    }
    lines: list[str] = []
    instance = Instance([sys.executable, "-c", BUSY], lines.append)
    sampler = SystemSampler(job, tmp_path / "own", {"algo-1": instance.processes})
    sent = tmp_path / "s3" / "mine" / "profiler-output"
    try:
        sampler.start()
        until(lambda: names_below(sent))
    finally:
        instance.kill()
        sampler.end(tmp_path / "tree")
    assert names_below(sent) == names_below(tmp_path / "tree")
    with load_smdebug():
        from smdebug.profiler.system_metrics_reader import LocalSystemMetricsReader

        reader = LocalSystemMetricsReader(str(sent))
        events = reader.get_events(0, 2**62)
    found = {(event.type, event.dimension): event.value for event in events}
    assert {"cpu", "memory", "i/o", "network"} <= {kind for kind, _ in found}
    cores = {event.name for event in events if event.dimension == "CPUUtilization"}
    assert len(cores) == len(os.sched_getaffinity(0))
    assert max(event.value for event in events if event.dimension == "CPUUtilization") > 0
    assert all(event.node_id == "algo-1" for event in events)


@pytest.mark.verify
def test_smdebugs_training_job_waits_for_system_metrics_and_gets_them(tmp_path, monkeypatch):
    with moto() as url, local_sagemaker(tmp_path / "state", url) as cloud:
        put_folder(cloud.client("s3"), draw_channel(tmp_path / "photos", 2), "train")
        request = training_request("measured", epochs=1)
        request["ProfilerConfig"] = {"S3OutputPath": f"s3://{BUCKET}/profile"}
        cloud.client("sagemaker").create_training_job(**request)
        for name, value in {**cloud.exports, "AWS_ENDPOINT_URL_S3": url}.items():
            monkeypatch.setenv(name, value)
        with load_smdebug():
            import smdebug.profiler

            # Its package draws with bokeh, which is not installed here.
            notebooks = Path(smdebug.profiler.__file__).parent / "analysis" / "notebook_utils"
            module = runpy.run_path(str(notebooks / "training_job.py"))
            job = module["TrainingJob"]("measured", "eu-west-1")
            job.wait_for_sys_profiling_data_to_be_available()
        ended(cloud.client("sagemaker"), "measured")
    assert job.system_metrics_reader.get_timestamp_of_latest_available_file() > 0


@pytest.mark.parametrize(
    "profiler, more, wanted",
    [
        ({"S3OutputPath": "s3://b/p"}, {}, True),
        ({"S3OutputPath": "s3://b/p", "DisableProfiler": True}, {}, False),
        ({}, {}, False),
        # Our own training measures itself where it is asked for a profile.
        ({"S3OutputPath": "s3://b/p", "ProfilingParameters": {"a": "b"}}, {}, False),
        (
            {"S3OutputPath": "s3://b/p", "ProfilingParameters": {"a": "b"}},
            {"sagemaker_program": "mine.py"},
            True,
        ),
    ],
)
def test_who_measures(profiler, more, wanted):
    job = {
        "ProfilerConfig": profiler,
        "HyperParameters": more,
        "AlgorithmSpecification": {"TrainingImage": TRAIN_IMAGE},
    }
    assert is_wanted(job) is wanted
