"""What a training job leaves, sent to S3: the model, the output, tensors, events and profile."""

from collections.abc import Iterator
from pathlib import Path

from local_sagemaker import objects
from local_sagemaker.jobs.system_sampler import PROFILER_OUTPUT, folder_of
from local_sagemaker.jobs.training_hosts import TrainingHosts, part_of
from local_sagemaker.record import Record
from runtime import opt_ml

# Part of the request with an S3 prefix; the default of the folder there; its name in S3.
FOLDERS = (
    ("DebugHookConfig", "/opt/ml/output/tensors", "debug-output"),
    ("TensorBoardOutputConfig", "/opt/ml/output/tensorboard", "tensorboard-output"),
)
# smdebug's readers wait for this file before they take a training for ended.
# Source: smdebug/core/access_layer/utils.py, END_OF_JOB_FILENAME; on SageMaker the platform writes
# it.
END_OF_JOB = "training_job_end.ts"
WATCHED = ("debug-output", PROFILER_OUTPUT)


def upload(job: Record, hosts: TrainingHosts, folder: Path, with_model: bool) -> str | None:
    """Send all of it. The URI of the model; None without a model.

    folder: for archives. ObjectError when S3 does not take it.
    """
    model = None
    if with_model:
        model = _upload_folder(job, hosts.together("model"), folder, "model")
    _upload_folder(job, hosts.together("output/data"), folder, "output")
    for config, default, name in _further_folders(job):
        target = objects.joined(config["S3OutputPath"], job["TrainingJobName"], name)
        for host in hosts.names:
            objects.put_all(hosts.root(host), part_of(config.get("LocalPath", default)), target)
        if name in WATCHED:
            objects.write(objects.joined(target, END_OF_JOB), b"")
    return model


def _upload_folder(job: Record, left: Path, folder: Path, name: str) -> str | None:
    """A folder as an archive or as it is; its URI, None for an empty one."""
    if not left.is_dir() or not any(left.iterdir()):
        return None
    config = job["OutputDataConfig"]
    output = objects.joined(config["S3OutputPath"], job["TrainingJobName"], "output")
    if config.get("CompressionType", "GZIP") != "GZIP":
        objects.put_all(left, "", objects.joined(output, name))
        return objects.joined(output, f"{name}/")
    archive = folder / f"{name}.tar.gz"
    opt_ml.pack(left, archive)
    target = objects.joined(output, archive.name)
    objects.put(archive.parent, archive.name, target)
    return target


def _further_folders(job: Record) -> Iterator[tuple[Record, str, str]]:
    for part, default, name in FOLDERS:
        if job.get(part):
            yield job[part], default, name
    profiler = job.get("ProfilerConfig", {})
    if profiler.get("S3OutputPath") and not profiler.get("DisableProfiler"):
        yield profiler, folder_of(job), PROFILER_OUTPUT
