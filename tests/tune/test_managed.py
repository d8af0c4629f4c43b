"""A tuning job of SageMaker, read from answers in botocore's own shapes.

Its Stubber checks requests and answers.
"""

import pytest

from tests.support.managed_searches import (
    SPACES,
    definition,
    describe,
    described,
    listed,
    moment,
    summary,
    training_job,
)
from tune.managed import read_managed
from tune.managed_form import ManagedError
from tune.ranking import Ranking
from tune.show import main
from tune.table import table

boto3 = pytest.importorskip("boto3")
stub = pytest.importorskip("botocore.stub")


@pytest.fixture
def sagemaker():
    client = boto3.client(
        "sagemaker", region_name="eu-west-1", aws_access_key_id="none", aws_secret_access_key="none"
    )
    with stub.Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


def test_a_tuning_job_with_all_its_pages(sagemaker):
    client, stubber = sagemaker
    describe(stubber, "yoga", described("yoga", 0))
    listed(
        stubber,
        "yoga",
        # Two pages, as of a long list.
        [summary("yoga-001", 0.5), summary("yoga-002", 0.75)],
        [summary("yoga-003", 0.25)],
    )
    (job,) = read_managed("yoga", client)
    assert (
        job.objective,
        job.direction,
        job.strategy,
        job.status,
        job.parents,
        job.warm_start,
    ) == ("accuracy", "Maximize", "Bayesian", "Completed", (), "")
    assert job.ranges == {
        "lr": {"type": "Continuous", "min": 0.005, "max": 0.015, "scale": "Logarithmic"},
        "epochs": {"type": "Integer", "min": 5, "max": 10, "scale": "Auto"},
        "batch_size": {"type": "Categorical", "values": ["16", "30"]},
    }
    assert job.static == {"model": "vgg16"}
    assert [each.objective for each in job.trials] == [
        0.5,
        0.75,
        0.25,
    ]
    first = job.trials[0]
    assert first.hyperparameters == {
        "model": "vgg16",
        "lr": "0.01",
        "epochs": "5",
        "batch_size": "16",
    }
    assert first.tuned == ("lr", "epochs", "batch_size")
    assert (first.started, first.ended, first.curve) == (
        "2026-11-21T10:02:00+00:00",
        "2026-11-21T10:04:00+00:00",
        (),
    )
    best = job.best()
    assert best is not None
    assert best.name == "yoga-002"
    assert "best: yoga-002" in table((job,))


def test_reasons_are_asked_for_where_the_list_has_none(sagemaker):
    client, stubber = sagemaker
    describe(stubber, "yoga", described("yoga", 0, HyperParameterTuningJobStatus="Stopping"))
    listed(
        stubber,
        "yoga",
        [
            summary("a", status="Failed", FailureReason="AlgorithmError: no photos"),
            # The list has no reason for a stopped trial: the job's own description is asked.
            summary("b", 0.5, "Stopped"),
            # The training succeeded, but its objective was not found.
            summary("c", ObjectiveStatus="Failed"),
            summary("d", status="Stopping"),
            # It has no reason in the list, either.
            summary("e", status="Failed"),
            summary("f", 0.25, "Stopped"),
        ],
    )
    training_job(
        stubber,
        "b",
        SecondaryStatusTransitions=[
            {
                "Status": "Stopped",
                "StartTime": moment(3),
                "StatusMessage": "stopped early by the tuning job",
            }
        ],
    )
    training_job(stubber, "e", FailureReason="CapacityError: no instances")
    training_job(stubber, "f", SecondaryStatus="MaxRuntimeExceeded")
    (job,) = read_managed("yoga", client)
    assert job.status == "InProgress"
    assert [each.status for each in job.trials] == [
        "Failed",
        "Stopped",
        "Completed",
        "InProgress",
        "Failed",
        "Stopped",
    ]
    assert [each.reason for each in job.trials] == [
        "AlgorithmError: no photos",
        "stopped early by the tuning job",
        "SageMaker found no objective in its output: its regex matched nothing",
        "",
        "CapacityError: no instances",
        "it ran longer than it may",
    ]


def test_a_reason_that_was_deleted_is_none(sagemaker):
    client, stubber = sagemaker
    describe(stubber, "yoga", described("yoga", 0))
    # The job may be deleted before its search is read.
    listed(stubber, "yoga", [summary("a", status="Failed")])
    stubber.add_client_error("describe_training_job", "ResourceNotFound", "gone")
    assert read_managed("yoga", client)[0].trials[0].reason == ""


def test_parents_come_first_in_the_order_of_their_creation(sagemaker):
    client, stubber = sagemaker
    describe(stubber, "third", described("third", 30, ("second", "first")))
    describe(stubber, "second", described("second", 20, ("first", "zero")))
    # Two jobs name it, and it is asked for once.
    describe(stubber, "first", described("first", 10))
    describe(stubber, "zero", described("zero", 0))
    for place, name in enumerate(("zero", "first", "second", "third")):
        listed(stubber, name, [summary(f"{name}-001", 0.1 * place)])
    jobs = read_managed("third", client)
    assert [job.name for job in jobs] == ["zero", "first", "second", "third"]
    assert jobs[-1].parents == ("second", "first")
    assert jobs[-1].warm_start == "IdenticalDataAndAlgorithm"
    best = Ranking(jobs).best
    assert best is not None
    assert best.trial.name == "third-001"


def test_without_parents_on_request(sagemaker):
    client, stubber = sagemaker
    describe(stubber, "third", described("third", 30, ("second",)))
    listed(stubber, "third", [])
    assert [job.name for job in read_managed("third", client, with_parents=False)] == ["third"]


def test_a_deleted_parent_is_told(sagemaker, caplog):
    client, stubber = sagemaker
    describe(stubber, "second", described("second", 10, ("first",)))
    stubber.add_client_error("describe_hyper_parameter_tuning_job", "ResourceNotFound", "gone")
    listed(stubber, "second", [summary("a", 0.5)])
    assert [job.name for job in read_managed("second", client)] == ["second"]
    assert "tuning job 'first', which 'second' starts from" in caplog.text


def test_a_job_of_several_algorithms(sagemaker):
    client, stubber = sagemaker
    objective = {"Type": "Minimize", "MetricName": "loss"}
    answer = described(
        "two",
        0,
        config={},
        TrainingJobDefinitions=[
            definition(
                DefinitionName="vgg", TuningObjective=objective, HyperParameterRanges=SPACES
            ),
            definition(
                DefinitionName="resnet",
                TuningObjective=objective,
                HyperParameterRanges={
                    "IntegerParameterRanges": [
                        {"Name": "depth", "MinValue": "18", "MaxValue": "50"}
                    ]
                },
                StaticHyperParameters={"model": "resnet"},
            ),
        ],
    )
    # SageMaker gives one of both fields. The objective then stands in each definition.
    del answer["TrainingJobDefinition"]
    describe(stubber, "two", answer)
    listed(
        stubber,
        "two",
        [
            summary("a", 0.5, TrainingJobDefinitionName="vgg"),
            summary(
                "b", 0.4, TrainingJobDefinitionName="resnet", TunedHyperParameters={"depth": "50"}
            ),
        ],
    )
    (job,) = read_managed("two", client)
    assert (job.objective, job.direction) == ("loss", "Minimize")
    assert set(job.ranges) == {
        "lr",
        "epochs",
        "batch_size",
        "depth",
    }
    assert [each.hyperparameters["model"] for each in job.trials] == [
        "vgg16",
        "resnet",
    ]
    best = job.best()
    assert best is not None
    assert best.name == "b"


@pytest.mark.parametrize(
    "objectives, sentence",
    [((), "names no objective"), (("loss", "accuracy"), "several objectives")],
)
def test_what_cannot_be_ranked_is_refused(sagemaker, objectives, sentence):
    client, stubber = sagemaker
    answer = described(
        "odd",
        0,
        config={},
        TrainingJobDefinitions=[
            # Two algorithms with two objectives cannot be compared.
            definition(TuningObjective={"Type": "Minimize", "MetricName": name})
            for name in objectives
        ]
        or [definition()],
    )
    del answer["TrainingJobDefinition"]
    describe(stubber, "odd", answer)
    with pytest.raises(ManagedError, match=sentence):
        read_managed("odd", client)


@pytest.mark.parametrize("code", ["ResourceNotFound", "AccessDeniedException"])
def test_what_sagemaker_refuses_is_one_sentence(sagemaker, code):
    client, stubber = sagemaker
    stubber.add_client_error(
        "describe_hyper_parameter_tuning_job", code, "Requested resource not found."
    )
    with pytest.raises(ManagedError, match=f"^tuning job 'none' cannot be read: {code}: Requested"):
        read_managed("none", client)


def test_show_without_a_region_says_so(monkeypatch, tmp_path, capsys):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    # boto3 would also read a region from the user's file.
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert main(["--managed", "yoga"]) == 1
    assert (
        capsys.readouterr().err
        == "tune.show: failed: SageMaker cannot be read: You must specify a region\n"
    )
