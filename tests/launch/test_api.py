"""launch api: the stack of an endpoint's page, from the recipe to CloudFormation, with the function's real code behind a URL."""

import hashlib
import json
import urllib.error
import urllib.request
from contextlib import ExitStack

import boto3
import pytest
import yaml
from botocore.stub import ANY

from launch.__main__ import main
from launch.api import api
from launch.context import validate
from launch.errors import LaunchError
from launch.monitoring import status
from launch.removal import delete
from launch.requests_api import code, code_object, parameters, stack
from launch.requests_training import Call
from tests.launch.test_requests import recipe
from tests.support.aws import running_server
from tests.support.jobs import COLOURS, draw_channel
from tests.support.launching import ScriptedAws, target
from tests.support.registries import aws, no_credentials
from tests.support.stacks import CloudFormation, refusal

KEY = "a key that nobody guesses"
NAME, URL = "slipway-three-colours", "https://abc.execute-api.eu-west-1.amazonaws.com/"
LOCATION = target().location


@pytest.fixture
def account(monkeypatch, tmp_path):
    """moto's server with photos in a bucket, our CloudFormation beside it, a recipe in this folder; that CloudFormation."""
    with aws(monkeypatch) as url, ExitStack() as servers:
        monkeypatch.chdir(tmp_path)
        draw_channel(tmp_path / "data/validation", 2)
        write()
        s3 = boto3.client("s3", region_name="eu-west-1")
        s3.create_bucket(
            Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        environment = {
            "AWS_ENDPOINT_URL": url,
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        formation = servers.enter_context(
            running_server(CloudFormation(environment, s3, tmp_path / "functions", servers))
        )
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", formation.url)
        yield formation


def write(**settings: object) -> None:
    document = {
        "name": "colours",
        "sagemaker": {
            "region": "eu-west-1",
            "bucket": "photos",
            "channels": {"validation": "data/validation"},
            "api": settings,
        },
    }
    with open("recipe.yaml", "w", encoding="utf-8") as file:
        yaml.safe_dump(document, file)


def run(capsys, *words: str) -> tuple[int, str]:
    result = main([words[0], "recipe.yaml", *words[1:], "--out", "out", "--poll", "0"])
    shown = capsys.readouterr()
    return result, shown.out + shown.err


def fetch(url: str, **headers: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=20
        ) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def codes() -> list[str]:
    found = boto3.client("s3", region_name="eu-west-1").list_objects_v2(
        Bucket="photos", Prefix="slipway/colours/api/"
    )
    return [entry["Key"] for entry in found.get("Contents", [])]


def test_from_the_recipe_to_a_page_and_away(account, capsys, monkeypatch):
    result, told = run(capsys, "api", "--url")
    assert (
        result == 1
        and "there is no API slipway-colours in eu-west-1; `launch api RECIPE` makes it" in told
    )
    run(capsys, "upload")
    result, told = run(capsys, "api")
    url = told.split("api: ")[-1].strip()
    assert result == 0 and url.startswith("http://127.0.0.1:") and url.endswith("/"), told
    assert run(capsys, "api", "--url") == (0, f"{url}\n") and len(codes()) == 1
    assert fetch(url)[1].startswith(b"<!doctype html>")
    assert (
        json.loads(fetch(f"{url}sample")[1])["label"] in COLOURS
    )  # the uploaded validation photos
    result, told = run(capsys, "api")
    assert result == 0 and "is already as in the recipe" in told and url in told
    write(access="key", requests_per_second=3)
    result, told = run(capsys, "api")
    assert result == 1 and "access is 'key'; set SLIPWAY_API_KEY" in told
    monkeypatch.setenv("SLIPWAY_API_KEY", KEY)
    result, told = run(capsys, "api")
    closed = told.split("api: ")[-1].strip()
    assert result == 0 and account.stacks["slipway-colours"][2]["RequestsPerSecond"] == "3"
    assert (
        fetch(f"{closed}sample")[0] == 401
        and fetch(f"{closed}sample", **{"X-Api-Key": KEY})[0] == 200
    )
    assert run(capsys, "status") == (0, f"api slipway-colours: UPDATE_COMPLETE; {closed}\n")
    result, told = run(capsys, "delete", "--yes")
    assert (
        result == 0
        and "delete: Stack slipway-colours" in told
        and account.stacks == {}
        and codes() == []
    )
    assert "nothing of colours is known here" in run(capsys, "delete", "--yes")[1]
    assert run(capsys, "api", "--delete") == (0, "api: slipway-colours is gone\n")


def test_it_is_removed_alone_and_made_without_waiting(account, capsys):
    assert run(capsys, "api", "--no-wait") == (0, "") and list(account.stacks) == [
        "slipway-colours"
    ]
    assert (
        run(capsys, "api", "--delete") == (0, "api: slipway-colours is gone\n")
        and account.stacks == {}
        and codes() == []
    )
    assert run(capsys, "status")[1] == "status: nothing was started for colours here\n"


def test_a_dry_run_prints_the_exact_requests_without_credentials(tmp_path, monkeypatch, capsys):
    no_credentials(monkeypatch)
    monkeypatch.chdir(tmp_path)
    write(access="key", origins=["https://example.org"])
    monkeypatch.setenv("SLIPWAY_API_KEY", KEY)
    assert main(["api", "recipe.yaml", "--dry-run", "--out", "out"]) == 0
    shown = capsys.readouterr().out
    put, create = json.loads(shown)
    passed = {
        entry["ParameterKey"]: entry["ParameterValue"] for entry in create["request"]["Parameters"]
    }
    assert (
        KEY not in shown
        and passed["ApiKeySha256"] == hashlib.sha256(KEY.encode()).hexdigest()
        and passed["AllowedOrigins"] == "https://example.org"
    )
    assert (put["operation"], put["request"]["Key"]) == ("PutObject", passed["CodeKey"]) and create[
        "operation"
    ] == "CreateStack"
    assert create["request"]["Tags"] == [{"Key": "slipway:recipe", "Value": "colours"}] and create[
        "request"
    ]["Capabilities"] == ["CAPABILITY_IAM"]
    monkeypatch.delenv("SLIPWAY_API_KEY")
    assert main(["api", "recipe.yaml", "--dry-run", "--out", "out"]) == 0
    assert "SLIPWAY_API_KEY is not set" in capsys.readouterr().err
    for words, operation in ((["--delete"], "DeleteStack"), (["--url"], "DescribeStacks")):
        assert main(["api", "recipe.yaml", "--dry-run", "--out", "out", *words]) == 0
        [call] = json.loads(capsys.readouterr().out)
        assert call == {
            "service": "cloudformation",
            "operation": operation,
            "request": {"StackName": "slipway-colours"},
        }


FULL = {
    "access": "jwt",
    "jwt_issuer": "https://issuer.example",
    "jwt_audience": ["a", "b"],
    "origins": ["https://example.org", "http://localhost:8000"],
    "samples": "s3://other/photos",
    "code_bucket": "code",
    "sure_from": 0.75,
    "log_days": 7,
    "request_burst": 5,
    "name": "yoga",
}


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        (
            {},
            {
                "EndpointName": "three-colours",
                "CodeBucket": "sagemaker-eu-west-1-123456789012",
                "SamplesBucket": "sagemaker-eu-west-1-123456789012",
                "SamplesPrefix": "slipway/three-colours/data/validation/",
                "SamplesKeyArn": "",
                "TargetModel": "",
                "ApiKeySha256": "",
                "AllowedOrigins": "",
            },
        ),
        (
            {"api": FULL},
            {
                "JwtIssuer": "https://issuer.example",
                "JwtAudience": "a,b",
                "AllowedOrigins": "https://example.org,http://localhost:8000",
                "SamplesBucket": "other",
                "SamplesPrefix": "photos/",
                "CodeBucket": "code",
                "SureFrom": "0.75",
                "LogDays": "7",
                "RequestBurst": "5",
            },
        ),
        (
            {"channels": {"train": "a", "val": "s3://pics/q/"}, "endpoint": {"name": "Yoga Poses"}},
            {
                "SamplesBucket": "pics",
                "SamplesPrefix": "q/",
                "EndpointName": "Yoga-Poses",
                "EndpointArnName": "yoga-poses",
            },
        ),
        (
            {"channels": {"train": "a"}, "kms_key": "alias/mine"},
            {"SamplesBucket": "", "SamplesPrefix": "", "SamplesKeyArn": ""},
        ),
        ({"kms_key": "key-1"}, {"SamplesKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/key-1"}),
        (
            {"api": {"samples": "none"}, "kms_key": "alias/mine"},
            {"SamplesBucket": "", "SamplesKeyArn": ""},
        ),
        ({"endpoint": {"kind": "multi-model"}}, {"TargetModel": "three-colours.tar.gz"}),
        (
            {"endpoint": {"kind": "multi-model"}, "api": {"target_model": "dogs.tar.gz"}},
            {"TargetModel": "dogs.tar.gz"},
        ),
    ],
)
def test_the_stack_says_all_of_the_recipe_and_the_template_takes_it(settings, found):
    one = recipe(**settings)
    passed = parameters(one, LOCATION, code())
    assert found.items() <= passed.items() and refusal(passed) == ""
    validate(Call("cloudformation", "CreateStack", stack(one, LOCATION, code())))
    validate(Call("cloudformation", "UpdateStack", stack(one, LOCATION, code())))
    validate(Call("s3", "PutObject", {**code_object(one, LOCATION, code()), "Body": code()}))
    assert code_object(one, LOCATION, code()).get("SSEKMSKeyId", "") == one.settings.kms_key


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"colour": 1}, "sagemaker.api: setting 'colour' is unknown; known: name, access, "),
        ({"access": "secret"}, "access is 'secret'; expected open, key, jwt"),
        ({"access": "key"}, "set SLIPWAY_API_KEY"),
        ({"access": "jwt"}, "set jwt_issuer"),
        ({"access": "jwt", "jwt_issuer": "http://a", "jwt_audience": ["b"]}, "https:// address"),
        ({"jwt_issuer": "https://a"}, "go with access jwt"),
        ({"origins": ["*"]}, "'\\*' in sagemaker.api.origins is not a web origin"),
        ({"origins": ["https://a.org/path"]}, "without a path"),
        ({"samples": "photos"}, "s3://bucket/prefix/"),
        ({"samples": "s3://bucket/"}, "s3://bucket/prefix/"),
        ({"samples": "s3://bucket/*"}, "s3://bucket/prefix/"),
        ({"requests_per_second": 0}, "requests_per_second is 0; it must be at least 1"),
        ({"request_burst": -1}, "request_burst is -1"),
        ({"sure_from": 50}, "sure_from is 50; a probability"),
        ({"log_days": 2}, "log_days is 2; CloudWatch keeps"),
        ({"name": "1 api"}, "name is '1 api'; a stack's name"),
        ({"target_model": "a.tar.gz"}, "for multi-model endpoints, and this one is real-time"),
        ({"log_days": "many"}, "log_days must be a whole number; found 'many'"),
    ],
)
def test_settings_that_cannot_be_meant_are_told(settings, told):
    with pytest.raises(LaunchError, match=told):
        stack(recipe(api=settings), LOCATION, b"")


def test_a_key_and_the_recipe_must_say_the_same():
    for access, key, told in (
        ("open", KEY, "SLIPWAY_API_KEY is set, but sagemaker.api.access is 'open'"),
        ("key", "short", "has 5 characters; take at least 16"),
        ("key", "a key with an end\n", "characters that a header cannot carry"),
        ("key", "ein Schlüssel für alle", "characters that a header cannot carry"),
    ):
        with pytest.raises(LaunchError, match=told):
            stack(recipe(api={"access": access}), LOCATION, b"", key)
    with pytest.raises(LaunchError, match="asynchronous endpoint"):
        stack(recipe(endpoint={"kind": "async"}), LOCATION, b"")
    with pytest.raises(LaunchError, match="kms_key is 'alias/mine'"):
        stack(recipe(kms_key="alias/mine"), LOCATION, b"")


class Stack(ScriptedAws):
    """A context at which CloudFormation's answers are written down beforehand."""

    def is_in(self, state: str | None) -> None:
        if state is None:
            self.refuse(
                "cloudformation",
                "describe_stacks",
                "ValidationError",
                f"Stack with id {NAME} does not exist",
            )
            return
        outputs = [{"OutputKey": "Url", "OutputValue": URL}]
        found = {
            "StackName": NAME,
            "StackStatus": state,
            "CreationTime": "2026-01-01T00:00:00Z",
            "Outputs": outputs,
        }
        self.answer("cloudformation", "describe_stacks", {"Stacks": [found]}, {"StackName": NAME})

    def put(self) -> None:
        self.answer(
            "s3",
            "put_object",
            {},
            {**code_object(self.context.recipe, LOCATION, code()), "Body": code()},
        )

    def happened(self, *events: tuple[str, str, str]) -> None:
        """(resource, status, reason), newest first."""
        made = [
            {
                "StackId": "x",
                "EventId": str(number),
                "StackName": NAME,
                "Timestamp": "2026-01-01T00:00:00Z",
                "LogicalResourceId": resource,
                "ResourceStatus": state,
                "ResourceStatusReason": why,
            }
            for number, (resource, state, why) in enumerate(events)
        ]
        self.answer("cloudformation", "describe_stack_events", {"StackEvents": made})


@pytest.fixture
def script(tmp_path):
    return Stack(recipe(), tmp_path)


def test_a_new_api_is_waited_for(script):
    script.put()
    script.is_in(None)
    script.answer(
        "cloudformation",
        "create_stack",
        {"StackId": "x"},
        stack(script.context.recipe, LOCATION, code()),
    )
    for state in ("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"):
        script.is_in(state)
    assert api(script.context) == 0
    assert (
        script.finished() == f"api: {NAME} is CREATE_IN_PROGRESS\napi: {URL}"
        and script.context.state.latest("api").name == NAME
    )


def test_what_never_came_up_is_made_anew_and_a_failure_says_why(script):
    script.put()
    script.is_in("ROLLBACK_COMPLETE")
    script.answer("cloudformation", "delete_stack", {}, {"StackName": NAME})
    for state in ("DELETE_IN_PROGRESS", None):
        script.is_in(state)
    wanted = {
        **dict.fromkeys(("TemplateBody", "Parameters", "Capabilities", "Tags"), ANY),
        "StackName": NAME,
    }
    script.answer("cloudformation", "create_stack", {"StackId": "x"}, wanted)
    script.is_in("ROLLBACK_COMPLETE")
    script.happened(
        ("Api", "CREATE_FAILED", "Resource creation cancelled"),
        ("Role", "CREATE_FAILED", "not authorized to perform\n iam:CreateRole"),
    )
    assert api(script.context) == 1
    assert script.finished().endswith(
        f"api: failed: {NAME} is ROLLBACK_COMPLETE: Role: not authorized to perform iam:CreateRole"
    )


def test_an_update_that_was_rolled_back_tells_its_own_reason(script):
    script.put()
    script.is_in("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")  # an earlier command was interrupted
    script.is_in("UPDATE_COMPLETE")
    script.answer(
        "cloudformation",
        "update_stack",
        {"StackId": "x"},
        stack(script.context.recipe, LOCATION, code()),
    )
    script.is_in("UPDATE_ROLLBACK_COMPLETE")
    script.happened(
        ("Stage", "UPDATE_FAILED", "too fast"),
        (NAME, "UPDATE_IN_PROGRESS", "User Initiated"),
        ("Api", "UPDATE_FAILED", "of last week"),
    )
    assert api(script.context) == 1
    assert script.finished().endswith(
        "UPDATE_ROLLBACK_COMPLETE; it serves as before the update: Stage: too fast"
    )


def test_a_stack_that_cannot_be_changed_or_removed_is_told(script):
    script.put()
    script.is_in("UPDATE_ROLLBACK_FAILED")
    with pytest.raises(
        LaunchError,
        match="is UPDATE_ROLLBACK_FAILED and cannot be changed; `launch api RECIPE --delete`",
    ):
        api(script.context)
    script.context.options.delete = True
    script.answer("cloudformation", "delete_stack", {}, {"StackName": NAME})
    script.is_in("DELETE_FAILED")
    script.happened(("Role", "DELETE_FAILED", "in use"), (NAME, "DELETE_IN_PROGRESS", ""))
    with pytest.raises(LaunchError, match=f"the stack {NAME} was not deleted: Role: in use"):
        api(script.context)
    script.finished()
    assert script.context.state.latest("api")


def test_what_is_gone_already_is_told_and_removed_from_the_list(script):
    script.context.state.add("api", NAME, "2026-11-21T18:15:00+00:00")
    script.is_in(None)
    assert status(script.context) == 0
    script.context.options.yes = True
    script.answer("cloudformation", "delete_stack", {}, {"StackName": NAME})
    script.is_in(None)
    script.refuse("s3", "list_objects_v2", "NoSuchBucket", "The specified bucket does not exist")
    assert delete(script.context) == 0
    assert (
        script.finished() == f"api {NAME}: not on CloudFormation\ndelete: Stack {NAME}"
        and script.context.state.entries == []
    )
