"""One execution of a pipeline: its steps in their order, each when those that it needs are done."""

import datetime
import logging
import threading
import time
from typing import Any

from local_sagemaker import objects
from local_sagemaker.contract import ApiError
from local_sagemaker.job_ends import (
    CLOSING,
    REASON_LENGTH,
    SERVER_STOPPED,
    JobFailed,
    failure_reason,
)
from local_sagemaker.pipelines import pipeline_cache, pipeline_steps
from local_sagemaker.pipelines.pipeline_definition import (
    CONDITION,
    OPERATIONS,
    Definition,
    Step,
    read,
)
from local_sagemaker.pipelines.pipeline_values import Values
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record

log = logging.getLogger(__name__)
KIND = "pipeline-execution"
STATUS = "PipelineExecutionStatus"
LOOK_S = 0.05  # between two looks at the running jobs
MOST_AT_ONCE = 50  # steps: ParallelismConfiguration's default
FAILED = "Step failure: One or multiple steps failed."
RUNNING = "Executing"
STOPPED = "Stopped"


class PipelineRun(threading.Thread):
    """The thread of one execution, from Executing to its end. What it did is in its record."""

    def __init__(self, platform: Platform, record: Record) -> None:
        self.platform = platform
        self.record = record
        self.id: str = record["Id"]
        self.region: str = record["Region"]
        super().__init__(name=f"pipeline {self.id}", daemon=True)
        self.definition: Definition = read(record["PipelineDefinition"])
        # by name of step: as ListPipelineExecutionSteps shows it, and its job
        self.steps: dict[str, Record] = record["Steps"]
        self.halted = ""
        limit = record.get("ParallelismConfiguration", {})
        self.at_once: int = limit.get("MaxParallelExecutionSteps", MOST_AT_ONCE)

    def run(self) -> None:
        try:
            while self._go_on():
                time.sleep(LOOK_S)
            self._end()
        except Exception as error:  # a fault of this server's own
            log.exception("pipeline %s", self.id)
            self._keep(**{STATUS: "Failed", "FailureReason": failure_reason(error)})
        finally:
            self.platform.ended(KIND, self.id)

    def halt(self, why: str) -> None:
        """Begin no further step, and stop those that run. Returns at once."""
        if not self.halted:
            self.halted = why

    def _go_on(self) -> bool:
        """One look at all steps; False when nothing runs and nothing can begin."""
        for name in self._with("Executing", "Stopping"):
            self._look_at(self.definition.steps[name])
        going = self._with("Executing", "Stopping")
        if self.halted:
            for name in self._with("Executing"):
                self._stop(self.definition.steps[name])
            return bool(going) and self.halted != CLOSING
        if self._with("Failed", "Stopped"):
            return bool(going)  # what runs is brought to its end
        for step in self.definition.steps.values():
            if len(self._with("Executing")) >= self.at_once:
                break
            if self._is_ready(step):
                self._begin(step)
                return True  # a condition has its outcome at once
        return bool(self._with("Executing"))

    def _with(self, *statuses: str) -> list[str]:
        return [name for name, one in self.steps.items() if one["StepStatus"] in statuses]

    def _is_ready(self, step: Step) -> bool:
        if step.name in self.steps:
            return False
        done = set(self._with("Succeeded"))
        if not step.needs <= done:
            return False
        if step.parent is None:
            return True
        name, outcome = step.parent
        return bool(self.steps[name]["Metadata"]["Condition"]["Outcome"] == str(outcome))

    def _begin(self, step: Step) -> None:
        shown: Record = {"StepName": step.name, "StartTime": time.time(), "StepStatus": RUNNING}
        for field, name in (("DisplayName", "StepDisplayName"), ("Description", "StepDescription")):
            if step.given.get(field):
                shown[name] = step.given[field]
        shown["AttemptCount"] = 1
        self.steps[step.name] = shown
        self._keep()
        try:
            shown |= self._do(step)
        except ApiError as error:
            shown |= _failed(
                f"ClientError: Failed to invoke sagemaker:{OPERATIONS[step.type]}. "
                f"Error Details: {error.message}"
            )
        except JobFailed as error:
            shown |= _failed(str(error))
        except Exception as error:  # a fault of this server's own: the step has it
            log.exception("step %s of pipeline %s", step.name, self.id)
            shown |= _failed(failure_reason(error))
        self._keep()

    def _do(self, step: Step) -> Record:
        """Do what a step asks for, or start its job: what its record gets."""
        wanted = step.arguments.get(_name_field(step), "")
        name = pipeline_steps.name_of_job(self.id, step, wanted if isinstance(wanted, str) else "")
        values = self._values(name)
        if step.type == CONDITION:
            outcome = all(values.holds(one) for one in step.arguments["Conditions"])
            metadata = {"Condition": {"Outcome": str(outcome)}}
            return {"StepStatus": "Succeeded", "EndTime": time.time(), "Metadata": metadata}
        arguments = values.of(step.arguments)
        if step.type == "Fail":
            message = str(arguments["ErrorMessage"])
            return {**_failed(message), "Metadata": {"Fail": {"ErrorMessage": message}}}
        return self._cached(step, arguments) or pipeline_steps.start(
            self.platform, step, arguments, name, self.region
        )

    def _cached(self, step: Step, arguments: Record) -> Record | None:
        """The result of an earlier step with these arguments; None where it must run."""
        key = pipeline_cache.digest(step, arguments)
        if not key:
            return None
        self.steps[step.name][pipeline_cache.DIGEST] = key
        wanted = self.record["PipelineArn"]
        known = [one for one in self.platform.store.all(KIND) if one["PipelineArn"] == wanted]
        found = pipeline_cache.earlier(step, key, known)
        if found is None:
            return None
        try:
            kind = pipeline_steps.KINDS[step.type]
            kind.describe(self.platform, {kind.name: found["Job"]}, self.region)
        except ApiError:
            return None  # its job was deleted meanwhile
        return found

    def _values(self, job: str) -> Values:
        now = datetime.datetime.now(datetime.UTC)
        variables = {
            "StartDateTime": _iso(self.record["CreationTime"]),
            "CurrentDateTime": _iso(now.timestamp()),
            "PipelineName": self.record["PipelineName"],
            "PipelineArn": self.record["PipelineArn"],
            "PipelineExecutionId": self.id,
            "PipelineExecutionArn": self.record["PipelineExecutionArn"],
            "TrainingJobName": job,
            "ProcessingJobName": job,
        }
        return Values(self.record["Parameters"], variables, self._properties, self._file)

    def _properties(self, name: str) -> Record:
        job = self.steps[name].get("Job")
        if not job:
            raise JobFailed(f"ClientError: the step '{name}' has no properties")
        step = self.definition.steps[name]
        return pipeline_steps.properties(self.platform, step, job, self.region)

    def _file(self, name: str, file: str) -> str:
        """The URI of a step's property file: in the output of its processing job."""
        declared = self.definition.steps[name].given.get("PropertyFiles", [])
        for one in declared:
            if one["PropertyFileName"] == file:
                outputs = self._properties(name)["ProcessingOutputConfig"]["Outputs"]
                for output in outputs:
                    if output["OutputName"] == one["OutputName"]:
                        return objects.joined(output["S3Output"]["S3Uri"], one["FilePath"])
        raise JobFailed(f"ClientError: the step '{name}' has no property file '{file}'")

    def _look_at(self, step: Step) -> None:
        shown = self.steps[step.name]
        try:
            more = pipeline_steps.ended(self.platform, step, shown["Job"], self.region)
        except ApiError as error:  # someone has deleted it
            more = _failed(f"ClientError: {error.message}")
        if more:
            shown |= more
            self._keep()

    def _stop(self, step: Step) -> None:
        if self.halted != CLOSING:  # the server stops its jobs itself
            pipeline_steps.stop(self.platform, step, self.steps[step.name]["Job"], self.region)
        self.steps[step.name]["StepStatus"] = "Stopping"
        self._keep()

    def _end(self) -> None:
        if self.halted == CLOSING:
            for name in self._with("Executing", "Stopping"):
                self.steps[name] |= _failed(SERVER_STOPPED)
            self._keep(**{STATUS: "Failed", "FailureReason": SERVER_STOPPED})
        elif self._with("Failed"):
            self._keep(**{STATUS: "Failed", "FailureReason": FAILED})
        elif self.halted or self._with("Stopped"):
            self._keep(**{STATUS: STOPPED})
        else:
            self._keep(**{STATUS: "Succeeded"})

    def _keep(self, **fields: Any) -> None:
        self.platform.store.change(KIND, self.id, Steps=self.steps, **fields)


def _name_field(step: Step) -> str:
    kind = pipeline_steps.KINDS.get(step.type)
    return kind.name if kind else ""


def _failed(reason: str) -> Record:
    fields: Record = {"StepStatus": "Failed", "EndTime": time.time()}
    return {**fields, "FailureReason": reason[:REASON_LENGTH]}


def _iso(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat()
