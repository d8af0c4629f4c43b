"""Cached steps of pipelines: which arguments count, and how long a result is taken."""

import time

import pytest

from local_sagemaker.contract import ApiError
from local_sagemaker.pipelines.pipeline_cache import DIGEST, digest, earlier, seconds
from local_sagemaker.pipelines.pipeline_definition import Step

ON = {"Enabled": True, "ExpireAfter": "PT1H"}
ARGUMENTS = {"HyperParameters": {"lr": "1"}, "OutputDataConfig": {"S3OutputPath": "s3://b/1"}}


def step(kind: str = "Training", **config: object) -> Step:
    return Step("Train", kind, {"CacheConfig": config or ON})


def test_what_goes_elsewhere_is_the_same_and_other_hyperparameters_are_not():
    first = digest(step(), ARGUMENTS)
    assert digest(step(), {**ARGUMENTS, "OutputDataConfig": {}, "Tags": []}) == first != ""
    assert digest(step(), {**ARGUMENTS, "HyperParameters": {"lr": "2"}}) != first
    assert digest(step(Enabled=False), ARGUMENTS) == ""
    assert digest(step("Model"), ARGUMENTS) == ""
    tuning = {"TrainingJobDefinition": ARGUMENTS}
    elsewhere = {"TrainingJobDefinition": {**ARGUMENTS, "OutputDataConfig": {}}}
    assert digest(step("Tuning"), tuning) == digest(step("Tuning"), elsewhere) != first


def test_the_latest_result_that_has_not_expired_is_taken():
    def execution(name: str, age_s: float, status: str = "Succeeded", **more: object) -> dict:
        done = {"StepStatus": status, "EndTime": time.time() - age_s, DIGEST: "d", **more}
        kept = {**done, "Job": name, "Metadata": {}}
        return {
            "CreationTime": -age_s,
            "PipelineExecutionArn": name,
            "Steps": {"Train": kept},
        }

    known = [execution("old", 4000), execution("good", 600), execution("bad", 10, "Failed")]
    known += [execution("hit", 5, CacheHitResult={})]
    found = earlier(step(), "d", known)
    assert found is not None
    assert found["CacheHitResult"] == {"SourcePipelineExecutionArn": "good"}
    assert earlier(step(), "other", known) is None
    assert earlier(step(), "d", known[:1]) is None
    assert earlier(step(Enabled=True), "d", known[:1]) is not None


@pytest.mark.parametrize(
    "text, wanted", [("P30D", 2592000), ("30d", 2592000), ("PT12H", 43200), ("P1DT1H2M3S", 90123)]
)
def test_durations(text, wanted):
    assert seconds(text) == wanted


@pytest.mark.parametrize("text", ["", "P", "P\N{ARABIC-INDIC DIGIT THREE}D", f"P{'9' * 5000}D"])
def test_a_text_that_is_no_duration_is_refused(text):
    with pytest.raises(ApiError, match="must be a duration such as P30D"):
        seconds(text)
