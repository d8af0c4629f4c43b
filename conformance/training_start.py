"""Clauses on how a training starts and which configuration it finds."""

import json
from pathlib import Path
from typing import Any

from conformance.clauses import TRAINING, Broken, Kept, NotApplicable, Outcome, clause
from conformance.targets import HOST, Image, Sandbox
from conformance.trainings import Trainings, attempted, plain, trained_or_refused

JOB_NAME = "conformance-2026-01-01-00-00-00-000"
EXTRA_CHANNEL = "conformance-extra.1"
OTHER_HOST = "ip-10-2-3-4"  # of a container, in the way of EC2
LOOPBACK = "127.0.0.7"  # a host name that resolves on this machine
# keys of resourceconfig.json that only some jobs have
RESOURCES = {
    "topology": {"network_nodes": []},
    "instance_groups": [
        {"instance_group_name": "big", "instance_type": "ml.m5.xlarge", "hosts": [HOST]}
    ],
    "current_group_name": "big",
}
# as the SageMaker SDK and the platform write them
DEBUG_HOOK = {
    "S3OutputPath": "s3://bucket/tensors",
    "LocalPath": "/opt/ml/output/tensors",
    "HookParameters": None,
    "CollectionConfigurations": [
        {"CollectionName": "losses", "CollectionParameters": {"save_interval": "50"}}
    ],
}
PROFILER = {
    "S3OutputPath": "s3://bucket/profile",
    "ProfilingIntervalInMilliseconds": 500,
    "ProfilingParameters": {},
    "DisableProfiler": False,
}


@clause(TRAINING)
def starts_with_train(trainings: Trainings) -> Outcome:
    """`IMAGE train` trains and ends with code 0.

    Source: developer guide, "Run your training algorithm": docker run <image> train; "Signal
        success and failure"
    Fix: put an executable `train` on PATH, or let ENTRYPOINT be a program that takes the argument
        `train`; the last line of its output says what is missing
    """
    run = trainings.once(attempted)
    if run.code != 0:
        return Broken(f"it {run.ended()}: {run.tail()}")
    return Kept(f"{run.seconds:.1f} s")


@clause(TRAINING)
def starts_by_container_entrypoint(trainings: Trainings) -> Outcome:
    """With ContainerEntrypoint alone the program starts without the argument `train`, and trains.

    Source: CreateTrainingJob, AlgorithmSpecification.ContainerEntrypoint: docker run --entrypoint
        X <image>
    Fix: let the program train when it gets no arguments
    """
    if not isinstance(trainings.target, Image):
        return NotApplicable("needs an image and an engine")
    own = trainings.target.description["Config"].get("Entrypoint") or ["train"]
    return trainings.succeeds(sandbox=Sandbox(entrypoint=tuple(own)))


@clause(TRAINING)
def never_succeeds_without_training(trainings: Trainings) -> Outcome:
    """With ContainerArguments the program gets these arguments instead of `train`. It trains or
    refuses, and never ends with code 0 without a model.

    Source: CreateTrainingJob, AlgorithmSpecification.ContainerArguments: docker run <image>
        <arguments>
    Fix: end with a non-zero code where the program does not know an argument
    """
    trainings.once(plain)
    run = trainings.run(trainings.lay_out(), Sandbox(arguments=("--conformance", "1")))
    if run.code is None:
        return Broken(f"it ran on for {run.seconds:.0f} s")
    if trainings.untrained(run):
        return Broken(
            "given --conformance 1, it ended with code 0 and no model: the job would be Completed"
        )
    return Kept(trained_or_refused(run))


@clause(TRAINING)
def missing_hyperparameters_file(trainings: Trainings) -> Outcome:
    """Without hyperparameters.json a job trains with its defaults, or is refused.

    Source: developer guide, "How Amazon SageMaker provides training information": HyperParameters
        are optional in CreateTrainingJob
    Fix: read the file only where it exists; without it use defaults, or fail with a non-zero code
    """
    return trainings.ends_orderly(prepare=lambda root: _config(root, "hyperparameters").unlink())


@clause(TRAINING)
def damaged_hyperparameters_file(trainings: Trainings) -> Outcome:
    """A job whose hyperparameters cannot be read never ends with code 0 without a model.

    Source: developer guide, "Signal success and failure"
    Fix: let an error while reading end the program with a non-zero code
    """
    return trainings.ends_orderly(
        prepare=lambda root: _config(root, "hyperparameters").write_text('{"epochs": ')
    )


@clause(TRAINING)
def missing_input_data_config_file(trainings: Trainings) -> Outcome:
    """Without inputdataconfig.json a job trains with the channels that exist, or is refused.

    Source: developer guide, "How Amazon SageMaker provides training information"; InputDataConfig
        is optional in CreateTrainingJob
    Fix: read the file only where it exists; the channels are the folders of /opt/ml/input/data
    """
    return trainings.ends_orderly(prepare=lambda root: _config(root, "inputdataconfig").unlink())


@clause(TRAINING)
def missing_resource_config_file(trainings: Trainings) -> Outcome:
    """Without resourceconfig.json, as where the image runs outside SageMaker, a job trains or is
    refused.

    Source: developer guide, "How Amazon SageMaker provides training information"
    Fix: read the file only where it exists; without it assume one host
    """
    return trainings.ends_orderly(prepare=lambda root: _config(root, "resourceconfig").unlink())


@clause(TRAINING)
def unknown_keys_in_config_files(trainings: Trainings) -> Outcome:
    """Keys that the platform adds to its files, such as topology and instance groups, are ignored.

    Source: developer guide, "Train with a heterogeneous cluster"; resourceconfig.json of GB200
        hosts has topology
    Fix: read the keys that the program needs, and ignore the others
    """
    return trainings.succeeds(prepare=_add_keys)


def _add_keys(root: Path) -> None:
    for name, more in (("resourceconfig", RESOURCES), ("init-config", {"inputMode": "File"})):
        path = _config(root, name)
        found: dict[str, Any] = {}  # Any: JSON
        if path.exists():
            found = json.loads(path.read_text())
        path.write_text(json.dumps({**found, **more}))
    path = _config(root, "inputdataconfig")
    channels = json.loads(path.read_text())
    for channel in channels.values():
        channel |= {"EnableFFM": False, "ContentType": "application/x-image"}
    path.write_text(json.dumps(channels))


@clause(TRAINING)
def json_quoted_hyperparameters(trainings: Trainings) -> Outcome:
    """Values that the SageMaker SDK has encoded as JSON ("\\"resnet50\\"") mean the same as
    without it.

    Source: sagemaker-python-sdk, estimator.py, _json_encode_hyperparameters; its issue 3487
    Fix: parse each value by json.loads, and use the text itself where that fails
    """
    quoted = {name: json.dumps(text) for name, text in trainings.job.hyperparameters.items()}
    return trainings.succeeds(trainings.lay_out(quoted))


@clause(TRAINING)
def unknown_hyperparameter(trainings: Trainings) -> Outcome:
    """A hyperparameter that the program does not know is ignored, or the job is refused.

    Source: CreateTrainingJob, HyperParameters: any 100 names; developer guide, "Signal success
        and failure"
    Fix: ignore it, or name it and end with a non-zero code
    """
    more = {**trainings.job.hyperparameters, "conformance_unknown": "1"}
    return trainings.ends_orderly(trainings.lay_out(more))


@clause(TRAINING)
def tuning_objective_metric(trainings: Trainings) -> Outcome:
    """The hyperparameter _tuning_objective_metric does not stop a training. Every job of a tuning
    job has it.

    Source: developer guide, "Define metrics and environment variables" of automatic model tuning
    Fix: ignore names that start with _
    """
    added = {"_tuning_objective_metric": "validation_accuracy"}
    return trainings.succeeds(trainings.lay_out({**trainings.job.hyperparameters, **added}))


@clause(TRAINING)
def sdk_hyperparameters(trainings: Trainings) -> Outcome:
    """The hyperparameters that the SageMaker SDK adds (sagemaker_job_name and others) do not stop
    a training.

    Source: sagemaker-python-sdk, estimator.py, Framework._script_mode_hyperparams
    Fix: ignore names that start with sagemaker_
    """
    added = {
        "sagemaker_container_log_level": "20",
        "sagemaker_job_name": json.dumps(JOB_NAME),
        "sagemaker_region": json.dumps("eu-west-1"),
    }
    return trainings.succeeds(trainings.lay_out({**trainings.job.hyperparameters, **added}))


@clause(TRAINING)
def debug_hook_config(trainings: Trainings) -> Outcome:
    """A job trains with debughookconfig.json, which the SageMaker SDK requests by default.

    Source: smdebug, config_constants.py; CreateTrainingJob, DebugHookConfig; sagemaker-debugger
        issues 401 and 482
    Fix: ignore the file, or continue the training where a hook cannot be made
    """
    return trainings.succeeds(trainings.lay_out(more={"debughookconfig": DEBUG_HOOK}))


@clause(TRAINING)
def profiler_config(trainings: Trainings) -> Outcome:
    """A job trains with profilerconfig.json, which the platform writes unless DisableProfiler is
    set.

    Source: smdebug, profiler_constants.py; CreateTrainingJob, ProfilerConfig
    Fix: ignore the file, or continue the training where a profiler cannot be made
    """
    return trainings.succeeds(trainings.lay_out(more={"profilerconfig": PROFILER}))


@clause(TRAINING)
def host_name_is_not_trusted(trainings: Trainings) -> Outcome:
    """A job trains in a container with any host name. Only resourceconfig.json names this host.

    Source: developer guide, "How Amazon SageMaker provides training information": do not rely on
        /etc/hostname or /etc/hosts
    Fix: take current_host from resourceconfig.json instead of the host's name
    """
    if trainings.target.kind == "image":
        return trainings.succeeds(sandbox=Sandbox(host=OTHER_HOST))
    # a process keeps this machine's name, so the job gets another one
    return trainings.succeeds(trainings.lay_out(hosts=(LOOPBACK,), host=LOOPBACK))


@clause(TRAINING)
def extra_channel(trainings: Trainings) -> Outcome:
    """A channel that the program does not know does not stop a training.

    Source: CreateTrainingJob, InputDataConfig: 1 to 20 channels, names [A-Za-z0-9._-]+
    Fix: take the known channels by their names, and ignore the others
    """

    def add(root: Path) -> None:
        folder = root / "input" / "data" / EXTRA_CHANNEL
        folder.mkdir()
        (folder / "notes.txt").write_text("nothing to train on\n")

    root = trainings.lay_out(channels=(*trainings.job.channels, EXTRA_CHANNEL))
    return trainings.succeeds(root, prepare=add)


def _config(root: Path, name: str) -> Path:
    return root / "input" / "config" / f"{name}.json"
