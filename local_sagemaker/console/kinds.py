"""The kinds of things that the console lists: a row of this table gives one its list and its page.

It says where a kind's records are, what their fields are called, and how one of them is stopped.
"""

from collections.abc import Callable
from dataclasses import dataclass

from local_sagemaker.access.own_requests import DEFAULT_REGION
from local_sagemaker.hosting import endpoints, fleet
from local_sagemaker.jobs import (
    processing,
    processing_run,
    training,
    training_run,
    transform_run,
    transforms,
)
from local_sagemaker.pipelines import pipeline_executions, pipeline_run, pipelines
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.registry import model_groups, model_packages, models
from local_sagemaker.tuning import tuning_run, tunings

Operation = Callable[[Platform, Record, str], Record]
# What a state means to the reader: the class of the style, by state.
TONES = {
    **dict.fromkeys(("Completed", "InService", "Succeeded", "Approved", "Active"), "fine"),
    **dict.fromkeys(("Failed", "Rejected", "OutOfService", "UpdateRollbackFailed"), "wrong"),
    **dict.fromkeys(("Stopped", "PendingManualApproval"), "over"),
}
RUNNING = "running"  # the tone of every other state
NO_STATE = ""


@dataclass(frozen=True)
class Kind:
    """One kind. noun: with which its fields begin, such as TrainingJob of TrainingJobName."""

    path: str  # of its pages, below /console/
    title: str
    one: str
    store: str  # where its records are
    noun: str
    describe: Operation
    logs: str = ""  # the group of its log streams
    times: str = ""  # with which the fields of its times begin: TrainingStartTime
    stop: Operation | None = None
    state_field: str = ""  # where it is another than the noun's Status
    key: Callable[[Record], str] | None = None  # in the store, where it is another than the name
    asked: str = ""  # the field by which operations find one, where it is another than the name

    @property
    def name_field(self) -> str:
        return f"{self.noun}Name"

    def name(self, record: Record) -> str:
        if self.key is not None:
            return self.key(record)
        return str(record[self.name_field])

    def state(self, record: Record) -> str:
        """Its state; empty where things of this kind have none."""
        return str(record.get(self.state_field or f"{self.noun}Status", NO_STATE))

    def request(self, record: Record) -> Record:
        """What its operations take to find it."""
        if self.asked:
            return {self.asked: record[self.asked]}
        return {self.name_field: self.name(record)}

    def find(self, platform: Platform, name: str) -> Record | None:
        """A record by its name; also by that of an ARN, which has small letters. None without."""
        record = platform.store.find(self.store, name)
        if record is not None:
            return record
        records = platform.store.all(self.store)
        return next((one for one in records if self.name(one).lower() == name), None)

    def described(self, platform: Platform, record: Record) -> Record:
        """What its operation Describe... answers, with all that the server remembers."""
        # A region serves for the words of an error alone, and not every kind remembers its own.
        return self.describe(platform, self.request(record), record.get("Region", DEFAULT_REGION))


def _execution(record: Record) -> str:
    return str(record["Id"])


KINDS = {
    kind.path: kind
    for kind in (
        Kind(
            path="training-jobs",
            title="Training jobs",
            one="training job",
            store=training_run.KIND,
            noun="TrainingJob",
            describe=training.describe,
            logs="TrainingJobs",
            times="Training",
            stop=training.stop,
        ),
        Kind(
            path="tuning-jobs",
            title="Tuning jobs",
            one="tuning job",
            store=tuning_run.KIND,
            noun="HyperParameterTuningJob",
            describe=tunings.describe,
            logs="TuningJobs",
            times="HyperParameterTuning",
            stop=tunings.stop,
        ),
        Kind(
            path="processing-jobs",
            title="Processing jobs",
            one="processing job",
            store=processing_run.KIND,
            noun="ProcessingJob",
            describe=processing.describe,
            logs="ProcessingJobs",
            times="Processing",
            stop=processing.stop,
        ),
        Kind(
            path="transform-jobs",
            title="Transform jobs",
            one="transform job",
            store=transform_run.KIND,
            noun="TransformJob",
            describe=transforms.describe,
            logs="TransformJobs",
            times="Transform",
            stop=transforms.stop,
        ),
        Kind(
            path="endpoints",
            title="Endpoints",
            one="endpoint",
            store=fleet.KIND,
            noun="Endpoint",
            describe=endpoints.describe,
            logs="Endpoints",
        ),
        Kind(
            path="models",
            title="Models",
            one="model",
            store=models.MODEL,
            noun="Model",
            describe=models.OPERATIONS["DescribeModel"],
        ),
        Kind(
            path="model-packages",
            title="Model packages",
            one="model package",
            store=model_groups.PACKAGE,
            noun="ModelPackage",
            describe=model_packages.describe,
            state_field=model_packages.APPROVAL,
            key=model_packages.key_of,
        ),
        Kind(
            path="pipelines",
            title="Pipelines",
            one="pipeline",
            store=pipelines.KIND,
            noun="Pipeline",
            describe=pipelines.describe,
        ),
        Kind(
            path="pipeline-executions",
            title="Pipeline executions",
            one="pipeline execution",
            store=pipeline_run.KIND,
            noun="PipelineExecution",
            describe=pipeline_executions.describe,
            times="PipelineExecution",
            stop=pipeline_executions.stop,
            key=_execution,
            asked=pipeline_executions.ARN,
        ),
    )
}


def tone(state: str) -> str:
    """The class of a state's style."""
    return TONES.get(state, RUNNING)


def newest_first(kind: Kind, platform: Platform) -> list[Record]:
    """All records of a kind; the name decides between equal times."""
    records = platform.store.all(kind.store)
    records.sort(key=lambda record: (record["CreationTime"], kind.name(record)), reverse=True)
    return records
