"""Expressions and conditions of pipelines."""

import json

import pytest

from local_sagemaker import folders
from local_sagemaker.job_ends import JobFailed
from local_sagemaker.pipelines.pipeline_values import Values

PROPERTIES = {
    "Outputs": [{"OutputName": "train", "S3Output": {"S3Uri": "s3://b/t"}}],
    "Environment": {"a.b": "1"},
    "Many": [{"TrainingJobName": "first"}, {"TrainingJobName": "second"}],
}


def values(folder) -> Values:
    (folder / "found.json").write_text(json.dumps({"metrics": {"accuracy": [{"value": 0.5}]}}))
    return Values(
        {"Count": 2, "Flag": True},
        {"PipelineName": "Way"},
        lambda name: PROPERTIES,
        lambda name, file: (folder / "found.json").as_uri(),
    )


@pytest.mark.parametrize(
    "given, wanted",
    [
        ({"a": [{"Get": "Parameters.Count"}]}, {"a": [2]}),
        ({"Get": "Steps.S.Outputs['train'].S3Output.S3Uri"}, "s3://b/t"),
        ({"Get": "Steps.S.Many[1].TrainingJobName"}, "second"),
        ({"Get": "Steps.S.Environment['a.b']"}, "1"),
        (
            {"Std:Join": {"On": "/", "Values": ["s3:/", {"Get": "Execution.PipelineName"}, 3]}},
            "s3://Way/3",
        ),
        ({"Std:Join": {"On": "", "Values": [{"Get": "Parameters.Flag"}]}}, "true"),
        (
            {
                "Std:JsonGet": {
                    "PropertyFile": {"Get": "Steps.S.PropertyFiles.f"},
                    "Path": "metrics.accuracy[0].value",
                }
            },
            0.5,
        ),
    ],
)
def test_expressions(tmp_path, given, wanted):
    folders.allow([tmp_path])
    assert values(tmp_path).of(given) == wanted


@pytest.mark.parametrize("path", ["Outputs['test']", "Many[2]", "Nothing.At.All"])
def test_what_a_step_does_not_have_fails(tmp_path, path):
    with pytest.raises(JobFailed, match="has no value"):
        values(tmp_path).of({"Get": f"Steps.S.{path}"})


def test_conditions(tmp_path):
    count = {"Get": "Parameters.Count"}
    less = {"Type": "LessThan", "LeftValue": count, "RightValue": 2.5}
    within = {"Type": "In", "QueryValue": count, "Values": [1, 2]}
    equal = {"Type": "Equals", "LeftValue": count, "RightValue": 3}
    found = values(tmp_path)
    assert found.holds(less)
    assert found.holds(within)
    assert not found.holds(equal)
    assert found.holds({"Type": "Or", "Conditions": [equal, less]})
    assert found.holds({"Type": "Not", "Condition": equal})
    with pytest.raises(JobFailed, match="LessThan cannot compare 2 with 'x'"):
        found.holds({**less, "RightValue": "x"})
    with pytest.raises(JobFailed, match="In needs a list of Values; found 5"):
        found.holds({**within, "Values": 5})
