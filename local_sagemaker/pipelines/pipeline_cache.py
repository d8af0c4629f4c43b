"""CacheConfig of a pipeline's steps: a step with the arguments of an earlier one takes its result.

Source: developer guide, "Caching pipeline steps".
"""

import hashlib
import json
import re
import time

from local_sagemaker.contract import invalid
from local_sagemaker.pipelines.pipeline_definition import Step
from local_sagemaker.record import Record

CONFIG = "CacheConfig"
DIGEST = "ArgumentsDigest"  # in a step's record
# By type of step: the arguments that must be equal. Source: the same page, "Default cache key
# attributes by pipeline step type". Where results go, and on which instances, is none of them.
TRAINED = (
    *("AlgorithmSpecification", "CheckpointConfig", "Environment", "InputDataConfig"),
    *("HyperParameters", "DebugHookConfig", "DebugRuleConfigurations"),
    *("HyperParameterRanges", "StaticHyperParameters"),
)
COMPARED = {
    "Processing": ("AppSpecification", "Environment", "ProcessingInputs"),
    "Training": TRAINED,
    "Tuning": ("HyperParameterTuningJobConfig", "TrainingJobDefinition", "WarmStartConfig"),
    "Transform": ("DataProcessing", "Environment", "ModelName", "TransformInput"),
}
# ISO 8601, such as P30D or PT12H; the SDKs' examples also have 30d.
COUNT = "([0-9]{1,9})"
DURATION = re.compile(
    f"P?(?:{COUNT}W)?(?:{COUNT}D)?(?:T?(?:{COUNT}H)?(?:{COUNT}M)?(?:{COUNT}S)?)?", re.IGNORECASE
)
SECONDS = (604800, 86400, 3600, 60, 1)


def seconds(text: str) -> int:
    """ExpireAfter in seconds. ApiError for what is no duration."""
    found = DURATION.fullmatch(text)
    counts = found.groups() if found else ()
    if not any(counts):
        raise invalid(f"ExpireAfter must be a duration such as P30D or PT12H; found '{text[:100]}'")
    return sum(int(count or 0) * unit for count, unit in zip(counts, SECONDS, strict=True))


def check(steps: dict[str, Step]) -> None:
    """ApiError for a CacheConfig that cannot be read."""
    for step in steps.values():
        expiry = step.given.get(CONFIG, {}).get("ExpireAfter")
        if expiry is not None:
            seconds(str(expiry))


def digest(step: Step, arguments: Record) -> str:
    """Equal for steps of the same name, type and arguments; empty where nothing is to be cached."""
    if not step.given.get(CONFIG, {}).get("Enabled") or step.type not in COMPARED:
        return ""
    compared = {name: arguments.get(name) for name in COMPARED[step.type]}
    definition = compared.get("TrainingJobDefinition")
    if isinstance(definition, dict):
        compared["TrainingJobDefinition"] = {name: definition.get(name) for name in TRAINED}
    text = json.dumps([step.name, step.type, compared], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def earlier(step: Step, key: str, executions: list[Record]) -> Record | None:
    """What a step's record gets of the latest step with that digest that has not expired."""
    expiry = step.given[CONFIG].get("ExpireAfter")
    oldest = time.time() - seconds(str(expiry)) if expiry is not None else 0.0
    for execution in sorted(executions, key=lambda one: -one["CreationTime"]):
        found = execution["Steps"].get(step.name, {})
        succeeded = found.get("StepStatus") == "Succeeded" and "CacheHitResult" not in found
        if found.get(DIGEST) == key and succeeded and found["EndTime"] >= oldest:
            source = {"SourcePipelineExecutionArn": execution["PipelineExecutionArn"]}
            kept = {name: found[name] for name in ("Job", "Metadata")}
            fields: Record = {"StepStatus": "Succeeded", "EndTime": time.time()}
            return {**fields, **kept, "CacheHitResult": source}
    return None
