"""Clauses on how a training starts and what configuration it finds."""

import json
from pathlib import Path

from conformance.clauses import TRAINING, Broken, Kept, NotApplicable, Outcome, clause
from conformance.targets import Sandbox
from conformance.trainings import Trainings, attempted, plain

JOB_NAME = "conformance-2026-01-01-00-00-00-000"
GROUPS = [{"instance_group_name": "big", "instance_type": "ml.m5.xlarge", "hosts": ["algo-1"]}]


@clause(TRAINING)
def starts_with_train(trainings: Trainings) -> Outcome:
    """`IMAGE train` trains and ends with code 0.

    Source: developer guide, "Run your training algorithm": docker run <image> train; "Signal success and failure"
    Fix: put an executable `train` on PATH, or make ENTRYPOINT a program that takes the word `train`; the last line of its output says what is missing
    """
    run = trainings.once(attempted)
    return (
        Kept(f"{run.seconds:.1f} s") if run.code == 0 else Broken(f"it {run.ended()}: {run.tail()}")
    )


@clause(TRAINING)
def starts_by_container_entrypoint(trainings: Trainings) -> Outcome:
    """With ContainerEntrypoint alone the program starts without the word `train`, and trains.

    Source: CreateTrainingJob, AlgorithmSpecification.ContainerEntrypoint: docker run --entrypoint X <image>
    Fix: let the program train when it gets no arguments
    """
    if trainings.target.kind != "image":
        return NotApplicable("needs an image and an engine")
    own = trainings.target.description["Config"].get("Entrypoint") or ["train"]
    return trainings.succeeds(Sandbox(entrypoint=tuple(own)))


@clause(TRAINING)
def never_succeeds_without_training(trainings: Trainings) -> Outcome:
    """With ContainerArguments the program gets those and not the word `train`: it trains or refuses, and never ends with code 0 untrained.

    Source: CreateTrainingJob, AlgorithmSpecification.ContainerArguments: docker run <image> <arguments>
    Fix: end with a non-zero code on arguments that the program does not know
    """
    trainings.once(plain)
    run = trainings.run(Sandbox(arguments=("--conformance", "1")))
    if run.code is None:
        return Broken(f"it ran on for {run.seconds:.0f} s")
    return (
        Broken(
            "given --conformance 1, it ended with code 0 and no model: the job would be Completed"
        )
        if run.code == 0 and not (run.model or not trainings.once(plain).model)
        else Kept(
            "it trains all the same" if run.code == 0 else f"it is refused with code {run.code}"
        )
    )


@clause(TRAINING)
def missing_hyperparameters_file(trainings: Trainings) -> Outcome:
    """Without hyperparameters.json a job trains on its defaults or is refused.

    Source: developer guide, "How Amazon SageMaker provides training information": HyperParameters are optional in CreateTrainingJob
    Fix: read the file only where it is there, and fall back to defaults or fail with a non-zero code
    """
    return trainings.ends_orderly(lambda root: _config(root, "hyperparameters").unlink())


@clause(TRAINING)
def damaged_hyperparameters_file(trainings: Trainings) -> Outcome:
    """Hyperparameters that cannot be read do not pass for a success without a model.

    Source: developer guide, "Signal success and failure"
    Fix: let an error while reading end the program with a non-zero code
    """
    return trainings.ends_orderly(
        lambda root: _config(root, "hyperparameters").write_text('{"epochs": ')
    )


@clause(TRAINING)
def missing_input_data_config_file(trainings: Trainings) -> Outcome:
    """Without inputdataconfig.json a job trains on the channels that are there, or is refused.

    Source: developer guide, "How Amazon SageMaker provides training information"; InputDataConfig is optional in CreateTrainingJob
    Fix: read the file only where it is there; the channels are the folders of /opt/ml/input/data
    """
    return trainings.ends_orderly(lambda root: _config(root, "inputdataconfig").unlink())


@clause(TRAINING)
def missing_resource_config_file(trainings: Trainings) -> Outcome:
    """Without resourceconfig.json, as other ways to run the image leave it, a job trains or is refused.

    Source: developer guide, "How Amazon SageMaker provides training information"
    Fix: read the file only where it is there, and take it for one host
    """
    return trainings.ends_orderly(lambda root: _config(root, "resourceconfig").unlink())


@clause(TRAINING)
def unknown_keys_in_config_files(trainings: Trainings) -> Outcome:
    """Keys that the platform adds to its files, such as topology and instance groups, are passed over.

    Source: developer guide, "Train with a heterogeneous cluster"; resourceconfig.json of GB200 hosts has topology
    Fix: pick the keys you need, and pass over the others
    """

    def add(root: Path) -> None:
        resources = {
            "topology": {"network_nodes": []},
            "instance_groups": GROUPS,
            "current_group_name": "big",
        }
        for name, more in (("resourceconfig", resources), ("init-config", {"inputMode": "File"})):
            path = _config(root, name)
            path.write_text(
                json.dumps((json.loads(path.read_text()) if path.exists() else {}) | more)
            )
        path = _config(root, "inputdataconfig")
        path.write_text(
            json.dumps(
                {
                    name: {**entry, "EnableFFM": False, "ContentType": "application/x-image"}
                    for name, entry in json.loads(path.read_text()).items()
                }
            )
        )

    return trainings.succeeds(prepare=add)


@clause(TRAINING)
def json_quoted_hyperparameters(trainings: Trainings) -> Outcome:
    """Hyperparameters whose values the SageMaker SDK has encoded as JSON ("\\"resnet50\\"") mean the same.

    Source: sagemaker-python-sdk, estimator.py, _json_encode_hyperparameters; its issue 3487
    Fix: parse each value by json.loads, and take the text itself where that fails
    """
    return trainings.succeeds(
        hyperparameters={
            name: json.dumps(value) for name, value in trainings.job.hyperparameters.items()
        }
    )


@clause(TRAINING)
def unknown_hyperparameter(trainings: Trainings) -> Outcome:
    """A hyperparameter that nobody knows is passed over, or the job is refused.

    Source: CreateTrainingJob, HyperParameters: any 100 names; developer guide, "Signal success and failure"
    Fix: ignore it, or end with a non-zero code and its name
    """
    return trainings.ends_orderly(
        hyperparameters={**trainings.job.hyperparameters, "conformance_unknown": "1"}
    )


@clause(TRAINING)
def tuning_objective_metric(trainings: Trainings) -> Outcome:
    """The hyperparameter _tuning_objective_metric, which every job of a tuning has, does not stop a training.

    Source: developer guide, "Define metrics and environment variables" of automatic model tuning
    Fix: ignore names that start with _
    """
    return trainings.succeeds(
        hyperparameters={
            **trainings.job.hyperparameters,
            "_tuning_objective_metric": "validation_accuracy",
        }
    )


@clause(TRAINING)
def sdk_hyperparameters(trainings: Trainings) -> Outcome:
    """The hyperparameters that the SageMaker SDK adds (sagemaker_job_name and others) do not stop a training.

    Source: sagemaker-python-sdk, estimator.py, Framework._script_mode_hyperparams
    Fix: ignore names that start with sagemaker_
    """
    added = {
        "sagemaker_container_log_level": "20",
        "sagemaker_job_name": json.dumps(JOB_NAME),
        "sagemaker_region": json.dumps("eu-west-1"),
    }
    return trainings.succeeds(hyperparameters={**trainings.job.hyperparameters, **added})


@clause(TRAINING)
def debug_hook_config(trainings: Trainings) -> Outcome:
    """With debughookconfig.json, which the SageMaker SDK asks for unasked, a job trains.

    Source: smdebug, config_constants.py; CreateTrainingJob, DebugHookConfig; sagemaker-debugger issues 401 and 482
    Fix: pass over the file, or let a hook that cannot be made cost the training nothing
    """
    losses = {"CollectionName": "losses", "CollectionParameters": {"save_interval": "50"}}
    return trainings.succeeds(
        more={
            "debughookconfig": {
                "S3OutputPath": "s3://bucket/tensors",
                "LocalPath": "/opt/ml/output/tensors",
                "HookParameters": None,
                "CollectionConfigurations": [losses],
            }
        }
    )


@clause(TRAINING)
def profiler_config(trainings: Trainings) -> Outcome:
    """With profilerconfig.json, which the platform writes unless DisableProfiler is set, a job trains.

    Source: smdebug, profiler_constants.py; CreateTrainingJob, ProfilerConfig
    Fix: pass over the file, or let a profiler that cannot be made cost the training nothing
    """
    return trainings.succeeds(
        more={
            "profilerconfig": {
                "S3OutputPath": "s3://bucket/profile",
                "ProfilingIntervalInMilliseconds": 500,
                "ProfilingParameters": {},
                "DisableProfiler": False,
            }
        }
    )


@clause(TRAINING)
def host_name_is_not_trusted(trainings: Trainings) -> Outcome:
    """Who this host is stands in resourceconfig.json: a container of another host name trains.

    Source: developer guide, "How Amazon SageMaker provides training information": do not rely on /etc/hostname or /etc/hosts
    Fix: take current_host from resourceconfig.json in place of the host's name
    """
    if trainings.target.kind != "image":
        return trainings.succeeds(
            hosts=("127.0.0.7",), host="127.0.0.7"
        )  # a name that resolves here
    return trainings.succeeds(Sandbox(host="ip-10-2-3-4"))


@clause(TRAINING)
def extra_channel(trainings: Trainings) -> Outcome:
    """A channel that the program does not know does not stop a training.

    Source: CreateTrainingJob, InputDataConfig: 1 to 20 channels, names [A-Za-z0-9._-]+
    Fix: take the channels that you know by their names, and leave the others alone
    """

    def add(root: Path) -> None:
        folder = root / "input" / "data" / "conformance-extra.1"
        folder.mkdir()
        (folder / "notes.txt").write_text("nothing to train on\n")

    return trainings.succeeds(
        prepare=add,
        channels={name: {} for name in (*trainings.job.channels, "conformance-extra.1")},
    )


@clause(TRAINING)
def writes_a_model(trainings: Trainings) -> Outcome:
    """A training that succeeds leaves files in /opt/ml/model, which become model.tar.gz.

    Source: developer guide, "How Amazon SageMaker processes training output"
    Fix: save the model to /opt/ml/model before the program ends
    """
    run = trainings.once(plain)
    return Kept(f"{len(run.model)} files") if run.model else Broken("it is empty")


def _config(root: Path, name: str) -> Path:
    return root / "input" / "config" / f"{name}.json"
