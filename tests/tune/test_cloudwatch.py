"""Learning curves of a tuning job of SageMaker: logs in moto, answers in botocore's shapes."""

import logging
import time

import pytest

from tests.support.managed_searches import definition, describe, described, listed, summary
from tune.cloudwatch import GROUP, read_curves
from tune.managed import read_managed
from tune.page import write_page

boto3 = pytest.importorskip("boto3")
moto = pytest.importorskip("moto")
stub = pytest.importorskip("botocore.stub")

REGEX = "epoch=.* validation_accuracy=([0-9.]+)"
KEYS = {"region_name": "eu-west-1", "aws_access_key_id": "none", "aws_secret_access_key": "none"}


@pytest.fixture
def logs():
    with moto.mock_aws():
        yield boto3.client("logs", **KEYS)


def log_values(logs, stream: str, *values: float) -> None:
    """A training's log: a line per epoch, between others."""
    lines = [
        line
        for number, value in enumerate(values, start=1)
        for line in (
            f"epoch={number} train_loss=0.5 validation_accuracy={value}",
            f"checkpoint {number} is written",
        )
    ]
    logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
    now = int(time.time() * 1000)  # CloudWatch takes no old lines
    events = [
        {"timestamp": now + number, "message": line}
        for number, line in enumerate(["photos: train=9", *lines])
    ]
    logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)


def test_curves_are_read_by_the_regex_of_the_objective(logs, tmp_path):
    client = boto3.client("sagemaker", **KEYS)
    logs.create_log_group(logGroupName=GROUP)
    log_values(logs, "yoga-001/algo-1-1790000000", 0.25, 0.5)
    log_values(
        logs, "yoga-002/algo-1-1790000000", *(index / 10_000 for index in range(6000))
    )  # several pages
    log_values(logs, "yoga-0010/algo-1-1790000000", 0.9)  # a name that begins alike
    log_values(logs, "yoga-004/algo-1-1790000000", 0.125)
    metrics = [{"Name": "loss", "Regex": "loss=([0-9.]+)"}, {"Name": "accuracy", "Regex": REGEX}]
    read = definition(
        AlgorithmSpecification={"TrainingInputMode": "File", "MetricDefinitions": metrics}
    )
    with stub.Stubber(client) as stubber:
        describe(stubber, "yoga", described("yoga", 0, TrainingJobDefinition=read))
        listed(
            stubber,
            "yoga",
            [
                summary("yoga-001", 0.5),
                summary("yoga-002", 0.5999),
                summary("yoga-003", 0.75),
                summary("yoga-004", status="InProgress"),
            ],
        )
        (job,) = read_managed("yoga", client, logs=logs)
    assert job.trials[0].curve == (0.25, 0.5)
    assert len(job.trials[1].curve) == 6000
    assert job.trials[1].curve[-1] == 0.5999
    assert job.trials[2].curve == ()
    assert job.trials[2].objective == 0.75  # its log was deleted
    assert (job.trials[3].curve, job.trials[3].objective) == ((0.125,), 0.125)
    write_page(tmp_path / "tuning.html", (job,))
    assert (
        "Learning curves of 3 trials, 6000 values at most" in (tmp_path / "tuning.html").read_text()
    )


def test_one_host_is_read_over_all_its_starts(logs):
    logs.create_log_group(logGroupName=GROUP)
    for stream, values in (
        ("two/algo-1-1790000000", (0.1, 0.2)),
        ("two/algo-1-1790000500", (0.3,)),
        ("two/algo-2-1790000000", (0.1, 0.2)),
        ("late/algo-1-1790000000", ()),
        ("late/algo-2-1790000000", (0.7,)),
    ):
        log_values(logs, stream, *values)
    assert read_curves({"two": REGEX, "late": REGEX}, logs) == {
        "two": (0.1, 0.2, 0.3),
        "late": (0.7,),
    }


def test_no_log_and_no_usable_regex_are_no_fault(logs, caplog):
    assert read_curves({"yoga-001": REGEX}, logs) == {}
    assert read_curves({}, logs) == {}
    logs.create_log_group(logGroupName=GROUP)
    log_values(logs, "yoga-001/algo-1-1790000000", 0.25)
    assert (
        read_curves({"yoga-001": "("}, logs)
        == read_curves({"yoga-001": "epoch="}, logs)
        == read_curves({"yoga-001": "(epoch)="}, logs)
        == {}
    )
    assert read_curves({"yoga-002": REGEX}, logs) == {}
    assert caplog.text == ""


def test_refused_logs_are_told_once(caplog):
    client = boto3.client("logs", **KEYS)
    with stub.Stubber(client) as stubber, caplog.at_level(logging.WARNING):
        for _ in range(3):
            stubber.add_client_error(
                "describe_log_streams",
                "AccessDeniedException",
                "not authorized to perform: logs:DescribeLogStreams",
            )
        assert read_curves({f"yoga-{number}": REGEX for number in range(3)}, client) == {}
    assert caplog.text.count("the learning curves are missing") == 1
    assert "not authorized" in caplog.text
