"""Search over jobs: filters, nested filters, expressions, order and pages."""

from typing import Any

import pytest

from local_sagemaker import contract, server, tags
from local_sagemaker.contract import ApiError
from local_sagemaker.jobs import training
from local_sagemaker.platform import Platform
from runtime.container_engine import choose_container_engine
from tests.support.sagemakers import ROLE

REGION = "eu-west-1"


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    """Three trainings: of rates 0.1, 0.02 and 5, whose accuracies rise; the last has no metric."""
    made = Platform(tmp_path_factory.mktemp("state"), choose_container_engine("process"))
    for number, rate in enumerate(("0.1", "0.02", "5")):
        channel = {
            "ChannelName": f"train{number}",
            "DataSource": {"S3DataSource": {"S3Uri": f"s3://b/{number}"}},
        }
        other = {
            "ChannelName": "train",
            "DataSource": {"S3DataSource": {"S3Uri": f"s3://b/cats/{number}"}},
        }
        request = {
            "TrainingJobName": f"job-{number}",
            "RoleArn": ROLE,
            "HyperParameters": {"lr": rate, "net.kind": "small"},
            "InputDataConfig": [channel, other],
            "Tags": [{"Key": "team", "Value": f"t{number}"}],
        }
        record = training.first_record(request, REGION)
        if number < 2:
            metric = {"MetricName": "test:accuracy", "Value": 0.5 + number / 4}
            record["FinalMetricDataList"] = [metric]
        training.add(made, record)
    return made


def found(platform: Platform, *filters: dict[str, object], **more: object) -> list[str]:
    """The numbers of the trainings that are found."""
    expression = {"Filters": list(filters)} if filters else more.pop("expression", None)
    return [
        result["TrainingJob"]["TrainingJobName"][-1]
        for result in answer(platform, expression, **more)["Results"]
    ]


def answer(platform: Platform, expression: object = None, **more: object) -> dict[str, Any]:
    request = {"Resource": "TrainingJob", **more}
    if expression:
        request["SearchExpression"] = expression
    asked = contract.check("Search", request)
    result = server.OPERATIONS["Search"](platform, asked, REGION)
    return contract.answer("Search", result)


def one(name: str, operator: str = "", value: str = "") -> dict[str, object]:
    parts = {"Name": name, "Operator": operator, "Value": value}
    return {key: part for key, part in parts.items() if part}


@pytest.mark.parametrize(
    "given, wanted",
    [
        (one("TrainingJobName", "Equals", "job-1"), "1"),
        (one("TrainingJobName", "", "job-1"), "1"),
        (one("TrainingJobName", "NotEquals", "job-1"), "20"),
        (one("TrainingJobName", "Contains", "job"), "210"),
        (one("TrainingJobName", "In", "job-2, job-0"), "20"),
        (one("Metrics.test:accuracy", "GreaterThan", "0.6"), "1"),
        (one("Metrics.test:accuracy", "NotExists"), "2"),
        (one("Metrics.test:accuracy"), "10"),
        (one("HyperParameters.lr", "LessThan", "0.09"), "1"),
        (one("HyperParameters.lr", "LessThan", "1"), "10"),
        (one("HyperParameters.lr", "Equals", "0.10"), "0"),
        (one("HyperParameters.net.kind", "Equals", "small"), "210"),
        (one("HyperParameters.net.kind", "GreaterThan", "1"), ""),
        (one("Tags.team", "Equals", "t2"), "2"),
        (one("CreationTime", "GreaterThan", "2020-01-01T00:00:00"), "210"),
        (one("CreationTime", "LessThan", "2020-01-01T00:00:00Z"), ""),
        (one("EnableNetworkIsolation", "Equals", "false"), "210"),
        (one("InputDataConfig.ChannelName", "Equals", "train1"), "1"),
    ],
)
def test_filters(platform, given, wanted):
    assert "".join(found(platform, given)) == wanted


def test_a_nested_filter_wants_one_entry_that_has_all(platform):
    def nested(channel: str, prefix: str = "InputDataConfig.") -> dict[str, object]:
        filters = [
            one(f"{prefix}ChannelName", "Equals", channel),
            one(f"{prefix}DataSource.S3DataSource.S3Uri", "Contains", "cats/1"),
        ]
        part = {"NestedPropertyName": "InputDataConfig", "Filters": filters}
        return {"NestedFilters": [part]}

    assert found(platform, expression=nested("train")) == ["1"]
    assert found(platform, expression=nested("train", "")) == ["1"]
    assert found(platform, expression=nested("train1")) == []


def test_a_nested_filter_reads_tags(platform):
    nested = {"NestedPropertyName": "Tags", "Filters": [one("Tags.team", "Equals", "t1")]}
    assert found(platform, expression={"NestedFilters": [nested]}) == ["1"]


def test_expressions_are_joined_by_or_and_and(platform):
    first, second = (one("HyperParameters.lr", "Equals", rate) for rate in ("0.1", "5"))
    either = {"Filters": [first, second], "Operator": "Or"}
    assert found(platform, expression=either) == ["2", "0"]
    metric = {"Filters": [one("Metrics.test:accuracy")]}
    assert found(platform, expression={"SubExpressions": [either, metric]}) == ["0"]


def test_order_and_pages(platform):
    rising = {"SortBy": "Metrics.test:accuracy", "SortOrder": "Ascending"}
    # Those without the property come last.
    assert found(platform, **rising) == ["0", "1", "2"]
    assert found(platform, SortBy="Metrics.test:accuracy") == ["1", "0", "2"]
    assert found(platform, SortBy="HyperParameters.lr") == ["2", "0", "1"]
    page = answer(platform, MaxResults=2, SortBy="TrainingJobName", SortOrder="Ascending")
    assert page["TotalHits"] == {"Value": 3, "Relation": "EqualTo"}
    rest = found(platform, NextToken=page["NextToken"], SortBy="TrainingJobName")
    assert len(rest) == 1


def test_results_are_as_described_with_the_tags_of_now(platform):
    arn = answer(platform)["Results"][0]["TrainingJob"]["TrainingJobArn"]
    tags.add(platform, {"ResourceArn": arn, "Tags": [{"Key": "late", "Value": "x"}]}, REGION)
    [job] = answer(platform, {"Filters": [one("Tags.late", "Equals", "x")]})["Results"]
    assert job["TrainingJob"]["EnableNetworkIsolation"] is False
    assert job["TrainingJob"]["Tags"][-1] == {"Key": "late", "Value": "x"}
    groups = contract.check("Search", {"Resource": "ModelPackageGroup"})
    assert server.OPERATIONS["Search"](platform, groups, REGION)["Results"] == []


WRONG = [
    (one("Nothing", "Equals", "1"), "Unknown property name: Nothing"),
    (one("ResourceConfig.Nothing"), "Unknown property name"),
    (one("TrainingJobName", "GreaterThan", "a"), "not supported for the text property"),
    (one("CreationTime", "Contains", "2026"), "only supported for text"),
    (one("CreationTime", "Equals", "today"), "The value 'today' of CreationTime is not a time"),
    (one("Metrics.a", "Equals", "high"), "is not a number"),
    (one("TrainingJobName", "Equals"), "needs a Value"),
]


@pytest.mark.parametrize("given, sentence", WRONG)
def test_a_wrong_filter_is_refused(platform, given, sentence):
    with pytest.raises(ApiError, match=sentence):
        found(platform, given)


def test_a_wrong_search_is_refused(platform):
    twice = [one("TrainingJobName", "Contains", "a"), one("RoleArn", "Contains", "b")]
    with pytest.raises(ApiError, match="'CONTAINS' operator usage limit of 1 exceeded"):
        found(platform, *twice)
    with pytest.raises(ApiError, match="does not search for Experiment; it does for TrainingJob"):
        answer(platform, Resource="Experiment")
    with pytest.raises(ApiError, match="Unknown property name: Nothing"):
        found(platform, SortBy="Nothing")
    with pytest.raises(ApiError, match="cannot sort by AlgorithmSpecification"):
        found(platform, SortBy="AlgorithmSpecification")
    with pytest.raises(ApiError, match="must have at least one filter"):
        answer(platform, {"Operator": "And"})
