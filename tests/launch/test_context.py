"""The context of a command: region, account, images; what a dry run keeps; clients and notes."""

import argparse
import json
from dataclasses import replace

import pytest
from botocore.exceptions import NoCredentialsError

from launch import aws
from launch import context as contexts
from launch.aws import account_of, aws_location, client, find_region
from launch.context import LaunchContext, find_images, find_location, open_context
from launch.errors import LaunchError
from launch.requests_training import Call
from launch.state import State
from tests.support.launching import ScriptedAws, recipe, target
from tests.support.registries import no_credentials

LOCATION = target().location
ROLE = "arn:aws:iam::210987654321:role/R"


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    no_credentials(monkeypatch)


@pytest.mark.parametrize(
    "given, region, default, found",
    [
        ("a", "b", "c", "a"),
        ("", "b", "c", "b"),
        ("", "", "c", "c"),
    ],
)
def test_the_order_in_which_a_region_is_looked_for(monkeypatch, given, region, default, found):
    monkeypatch.setenv("AWS_REGION", region)
    monkeypatch.setenv("AWS_DEFAULT_REGION", default)
    assert find_region(given) == found


def test_the_profiles_region_comes_last(monkeypatch, tmp_path):
    (tmp_path / "config").write_text("[default]\nregion = eu-north-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert find_region() == "eu-north-1"


def test_without_any_region_one_sentence_says_so():
    with pytest.raises(LaunchError, match="no region is given; set `sagemaker: region:`"):
        find_region()


def test_a_location_has_its_partition_and_arns():
    found = aws_location("cn-north-1", "1")
    assert found == aws.AwsLocation("cn-north-1", "aws-cn", "amazonaws.com.cn", "1")
    assert found.arn("kms", "key/a") == "arn:aws-cn:kms:cn-north-1:1:key/a"
    assert found.global_arn("iam", "role/a") == "arn:aws-cn:iam::1:role/a"
    # Not in botocore's list, but of the form of a region.
    assert aws_location("eu-west-9", "1").partition == "aws"


def test_a_client_waits_and_tries_again_within_bounds():
    for timeout_s in (60, 7):
        config = client("sts", "eu-west-1", timeout_s).meta.config
        assert config.connect_timeout == 10
        assert config.read_timeout == timeout_s
        assert config.max_pool_connections == 32
        # botocore counts the first attempt, too.
        assert config.retries == {"mode": "standard", "total_max_attempts": 9}
    assert client("sts", "eu-west-1").meta.config.read_timeout == 60
    assert aws.RETRIES == {"mode": "standard", "max_attempts": 8}


def test_the_session_is_made_once():
    assert aws.session() is aws.session()


def test_the_account_is_that_of_the_credentials(monkeypatch, tmp_path):
    script = ScriptedAws(recipe(), tmp_path)
    script.answer("sts", "get_caller_identity", {"Account": "42"})
    monkeypatch.setattr(aws, "client", lambda service, region: script.context.clients[service])
    assert account_of("eu-west-1") == "42"


def test_a_roles_arn_holds_the_account(lines):
    one = recipe(region="eu-west-1", role=ROLE)
    assert find_location(one, False, lines.append) == aws_location("eu-west-1", "210987654321")
    assert lines == []


def test_only_a_dry_run_needs_no_account(lines, monkeypatch):
    def nobody(region: str) -> str:
        raise NoCredentialsError

    monkeypatch.setattr(contexts, "account_of", nobody)
    one = recipe(region="eu-west-1")
    assert find_location(one, True, lines.append).account == "000000000000"
    assert lines[0].startswith("dry run: account 000000000000 stands for yours (there are no us")
    with pytest.raises(NoCredentialsError):
        find_location(one, False, lines.append)
    with pytest.raises(LaunchError, match="'moon' is not a region"):
        find_location(recipe(region="moon", role=ROLE), True, lines.append)


def test_a_wrong_region_is_an_error_in_a_dry_run_too(lines, monkeypatch):
    monkeypatch.setattr(contexts, "account_of", lambda region: "1")
    with pytest.raises(LaunchError, match="'moon' is not a region"):
        find_location(recipe(region="moon"), True, lines.append)


def test_images_are_the_files_and_the_recipes_own(lines, tmp_path):
    file = tmp_path / "images.json"
    one = recipe(images=str(file), image_uris={"serve": "mine"})
    assert find_images(one, LOCATION, False, lines.append) == {"serve": "mine"}
    file.write_text(json.dumps({"train": "a", "serve": "b"}))
    assert find_images(one, LOCATION, False, lines.append) == {"train": "a", "serve": "mine"}
    assert lines == []
    for text in ("[", "[]", '"text"', "null"):
        file.write_text(text)
        with pytest.raises(LaunchError, match="images.json' is not a file of image URIs: "):
            find_images(one, LOCATION, False, lines.append)
    with pytest.raises(LaunchError, match="is not a file of image URIs: .*Is a directory"):
        find_images(recipe(images=str(tmp_path)), LOCATION, False, lines.append)


def test_a_dry_run_has_stand_ins_for_missing_images(lines, tmp_path):
    one = recipe(images=str(tmp_path / "none"), image_uris={"train": "a", "serve": "b"})
    host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    assert find_images(one, LOCATION, True, lines.append) == {
        "train": "a",
        "serve": "b",
        "serve-gpu": f"{host}/slipway-serve-gpu:latest",
        "serve-mms": f"{host}/slipway-serve-mms:latest",
        "serve-mms-torch": f"{host}/slipway-serve-mms-torch:latest",
    }
    assert lines == [
        "dry run: tag latest stands for images that are not pushed yet: "
        "serve-gpu, serve-mms, serve-mms-torch"
    ]


def test_a_dry_run_has_one_for_the_variant_that_a_recipe_names(lines, tmp_path):
    one = recipe(images=str(tmp_path / "none"), training={"image": "train-cuda13"})
    found = find_images(one, LOCATION, True, lines.append)
    assert found["train-cuda13"].endswith("/slipway-train:latest-cuda13")


def test_no_line_speaks_of_images_where_all_are_pushed(lines, tmp_path):
    pushed = target().images
    one = recipe(images=str(tmp_path / "none"), image_uris=pushed)
    assert find_images(one, LOCATION, True, lines.append) == pushed
    assert lines == []


def opened(tmp_path, dry: bool) -> LaunchContext:
    options = argparse.Namespace(dry_run=dry, poll=0.25)
    one = recipe(region="eu-west-1", role=ROLE, images=str(tmp_path / "none"))
    lines: list[str] = []
    return open_context(one, options, tmp_path, lines.append)


@pytest.mark.parametrize("dry", [False, True])
def test_an_opened_context(tmp_path, dry):
    found = opened(tmp_path, dry)
    assert found.dry is dry
    assert found.poll_s == 0.25
    assert found.location.account == "210987654321"
    assert found.state.path == tmp_path / "launch/three-colours.json"
    assert len(found.stamp) == len("261121-1815-k3f9")


def test_a_dry_run_keeps_its_requests_and_notes_nothing(tmp_path):
    dry = opened(tmp_path, True)
    assert dry.ask("sts", "GetCallerIdentity") == {}
    assert dry.send(Call("s3", "HeadBucket", {"Bucket": "photos"})) == {}
    owned = {"Bucket": "photos", "ExpectedBucketOwner": "210987654321"}
    assert dry.calls == [
        Call("sts", "GetCallerIdentity", {}),
        Call("s3", "HeadBucket", owned),
    ]
    assert dry.show().startswith('[\n  {\n    "service": "sts",\n')
    assert json.loads(dry.show())[1] == {
        "service": "s3",
        "operation": "HeadBucket",
        "request": owned,
    }
    dry.note("model", "m")
    assert dry.state.entries == []
    with pytest.raises(LaunchError, match='Missing required parameter in input: "Bucket"'):
        dry.ask("s3", "HeadBucket")
    assert len(dry.calls) == 2


def test_an_operation_without_parameters_takes_any(tmp_path):
    contexts.validate(Call("ec2", "DescribeAccountAttributes", {}))
    dry = opened(tmp_path, True)
    assert dry.ask("s3", "ListBuckets") == {}


def test_clients_are_made_once_and_notes_are_on_disk(tmp_path, monkeypatch):
    context = opened(tmp_path, False)
    assert context.client("sts") is context.client("sts")
    assert context.client("sts").meta.region_name == "eu-west-1"
    context.note("model", "m", data="s3://b/m")
    kept = State(context.state.path, "three colours")
    assert [(entry.kind, entry.name, entry.facts) for entry in kept.entries] == [
        ("model", "m", {"data": "s3://b/m"})
    ]
    slept: list[float] = []
    monkeypatch.setattr("launch.context.time.sleep", slept.append)
    context.wait()
    replace(context, poll_s=10.0).wait()
    assert slept == [0.25, 10.0]


def test_a_context_looks_every_10_s_unless_it_is_set():
    fields = LaunchContext.__dataclass_fields__
    assert fields["poll_s"].default == 10.0
