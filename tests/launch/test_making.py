"""Each command makes its own things: names by chance, and an earlier try known by its token."""

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from launch import jobs
from launch.context import new_stamp
from launch.errors import LaunchError
from launch.making import NAMED, make
from launch.requests_training import training_job
from tests.support.launching import ARN, ATTEMPT, JOB

OWN = {"Key": "slipway:attempt", "Value": ATTEMPT}
TAKEN = ("ValidationException", "Cannot create already existing model")


def test_two_commands_of_one_second_have_different_names():
    stamps = {new_stamp() for _ in range(100)}
    assert len(stamps) > 90
    assert {len(stamp) for stamp in stamps} == {len("261121-1815-k3f9")}


@pytest.mark.parametrize("operation", NAMED)
def test_every_thing_has_the_commands_token(script, operation):
    one = script()
    method = "list_tags"
    arn = f"arn:aws:sagemaker:eu-west-1:123456789012:{NAMED[operation][1]}/mine"
    one.answer("sagemaker", method, {"Tags": [{"Key": "a", "Value": "b"}], "NextToken": "n"})
    one.answer("sagemaker", method, {"Tags": [OWN]}, {"ResourceArn": arn, "NextToken": "n"})
    # botocore's own event stands for SageMaker's refusal.
    refusal = ClientError({"Error": {"Code": TAKEN[0], "Message": TAKEN[1]}}, operation)
    one.context.client("sagemaker").meta.events.register(
        f"provide-client-params.sagemaker.{operation}", raising(refusal)
    )
    make(one.context, operation, {NAMED[operation][0]: "Mine", "Tags": []})
    one.finished()


def raising(error: Exception):
    def handler(**_: object) -> None:
        raise error

    return handler


@pytest.mark.parametrize("found", [[], [{"Key": "slipway:attempt", "Value": "another"}]])
def test_another_commands_job_of_that_name_is_not_taken_for_ours(script, found):
    one = script()
    one.refuse("sagemaker", "create_training_job", "ResourceInUse", "taken")
    one.answer("sagemaker", "list_tags", {"Tags": found}, {"ResourceArn": ARN})
    wanted = training_job(one.context.recipe, one.context.target, JOB)
    with pytest.raises(LaunchError, match=f"another command made '{JOB}'"):
        jobs.start(one.context, "training", JOB, "CreateTrainingJob", wanted)
    assert one.finished() == ""
    assert one.context.state.entries == []


def test_a_job_that_may_be_ours_stays_noted(script):
    one = script()
    one.refuse("sagemaker", "create_training_job", "ResourceInUse", "taken")
    one.refuse("sagemaker", "list_tags", "AccessDeniedException", "no")
    wanted = training_job(one.context.recipe, one.context.target, JOB)
    with pytest.raises(LaunchError, match="whether this command made it cannot be seen: you may"):
        jobs.start(one.context, "training", JOB, "CreateTrainingJob", wanted)
    assert [entry.name for entry in one.context.state.entries] == [JOB]


def test_a_job_whose_answer_never_came_stays_noted(script):
    """It may run, and cost."""
    one = script()
    one.stub("sagemaker")
    one.context.client("sagemaker").meta.events.register(
        "provide-client-params.sagemaker.CreateTrainingJob",
        raising(ReadTimeoutError(endpoint_url="https://sagemaker")),
    )
    wanted = training_job(one.context.recipe, one.context.target, JOB)
    with pytest.raises(ReadTimeoutError):
        jobs.start(one.context, "training", JOB, "CreateTrainingJob", wanted)
    assert [entry.name for entry in one.context.state.entries] == [JOB]
    assert one.printed[0].startswith(f"{JOB} may have been started all the same: ")
