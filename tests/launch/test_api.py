"""The command api with the function's real code behind a URL."""

import hashlib
import json
import stat
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import boto3
import pytest
import yaml

from launch.__main__ import main
from tests.support.aws import running_server
from tests.support.jobs import COLOURS, draw_channel
from tests.support.registries import aws, no_credentials
from tests.support.stacks import CloudFormation

KEY = "a key that nobody guesses"


@pytest.fixture
def account(monkeypatch, tmp_path):
    """Our CloudFormation beside moto's server with photos in a bucket; a recipe in this folder."""
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


@pytest.mark.slow
def test_from_the_recipe_to_a_page_and_away(account, capsys, monkeypatch):
    result, printed = run(capsys, "api", "--url")
    assert result == 1
    missing = "the API slipway-colours does not exist in eu-west-1; `launch api RECIPE` makes it"
    assert missing in printed
    run(capsys, "upload")
    write(access="open", samples="validation")
    result, printed = run(capsys, "api")
    url = printed.split("api: ")[-1].strip()
    assert "EVERYONE who has the URL may ask, at your cost; the photos of s3://photos/" in printed
    assert result == 0, printed
    assert url.startswith("http://127.0.0.1:"), printed
    assert url.endswith("/"), printed
    assert run(capsys, "api", "--url") == (0, f"{url}\n")
    assert len(codes()) == 1
    assert fetch(url)[1].startswith(b"<!doctype html>")
    assert (
        json.loads(fetch(f"{url}sample")[1])["label"] in COLOURS
    )  # the uploaded validation photos
    result, printed = run(capsys, "api")
    assert result == 0
    assert "is already as in the recipe" in printed
    assert url in printed
    write(access="key", requests_per_second=3, samples="validation")
    monkeypatch.setenv("SLIPWAY_API_KEY", KEY)
    result, printed = run(capsys, "api")
    closed = printed.split("api: ")[-1].strip()
    assert result == 0
    assert account.stacks["slipway-colours"][2]["RequestsPerSecond"] == "3"
    assert fetch(f"{closed}sample")[0] == 401
    assert fetch(f"{closed}sample", **{"X-Api-Key": KEY})[0] == 200
    assert run(capsys, "status") == (0, f"api slipway-colours: UPDATE_COMPLETE; {closed}\n")
    result, printed = run(capsys, "delete", "--yes")
    assert result == 0
    assert "delete: Stack slipway-colours" in printed
    assert account.stacks == {}
    assert codes() == []
    assert "nothing of colours is known here" in run(capsys, "delete", "--yes")[1]
    assert run(capsys, "api", "--delete") == (0, "api: slipway-colours is gone\n")


@pytest.mark.slow
def test_by_default_a_new_key_may_ask_and_no_photo_is_shown(account, capsys):
    keys = Path("out/launch/colours.api-key")
    said = (
        f"api: only callers that send the key of {keys} as X-Api-Key may ask; no photos are shown\n"
    )
    assert run(capsys, "api", "--no-wait") == (0, said)
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    key = keys.read_text().strip()
    assert len(key) == 48
    url, _, passed = account.stacks["slipway-colours"]
    assert passed["SamplesBucket"] == ""
    assert passed["ApiKeySha256"] == hashlib.sha256(key.encode()).hexdigest()
    assert fetch(f"{url}sample")[0] == 401
    assert fetch(f"{url}sample", **{"X-Api-Key": key})[0] == 404
    # The next command keeps the key that callers have.
    assert "is already as in the recipe" in run(capsys, "api")[1]
    assert run(capsys, "api", "--delete")[0] == 0
    assert not keys.exists()


def test_it_is_removed_alone_and_made_without_waiting(account, capsys):
    assert run(capsys, "api", "--no-wait")[0] == 0
    assert list(account.stacks) == ["slipway-colours"]
    assert run(capsys, "api", "--delete") == (0, "api: slipway-colours is gone\n")
    assert account.stacks == {}
    assert codes() == []
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
    assert KEY not in shown
    assert passed["ApiKeySha256"] == hashlib.sha256(KEY.encode()).hexdigest()
    assert passed["AllowedOrigins"] == "https://example.org"
    assert (put["operation"], put["request"]["Key"]) == ("PutObject", passed["CodeKey"])
    assert create["operation"] == "CreateStack"
    assert create["request"]["Tags"] == [{"Key": "slipway:recipe", "Value": "colours"}]
    assert create["request"]["Capabilities"] == ["CAPABILITY_IAM"]
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
