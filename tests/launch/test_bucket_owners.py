"""Buckets of other accounts: nothing goes into one that the recipe does not name with its account.

The default bucket's name can be guessed, so that another may have made it first.
"""

import boto3
import pytest

from launch.bucket_owners import buckets_in, check_bucket
from launch.channels import upload_channels
from launch.check_account import the_bucket
from launch.check_inputs import data
from launch.errors import LaunchError, sentence
from launch.making import make
from launch.recipe import read_recipe
from launch.removal import delete_prefix
from launch.requests_training import channels, folder_uri
from tests.support.jobs import draw_channel
from tests.support.launching import ScriptedAws, recipe, target
from tests.support.sagemakers import CREDENTIALS, client_at, moto

OTHER = "999999999999"


@pytest.fixture(scope="module")
def s3_url():
    """moto with a bucket `mine`, and a bucket `theirs` of another account."""
    with moto() as url:
        place = {"LocationConstraint": "eu-west-1"}
        client_at(url, "s3").create_bucket(Bucket="mine", CreateBucketConfiguration=place)
        elsewhere = {"LocationConstraint": "eu-central-1"}
        client_at(url, "s3", "eu-central-1").create_bucket(
            Bucket="far", CreateBucketConfiguration=elsewhere
        )
        other = client_at(url, "s3")
        other.meta.events.register("before-sign.s3", lambda request, **_: as_other(request.headers))
        other.create_bucket(Bucket="theirs", CreateBucketConfiguration=place)
        yield url


def as_other(headers) -> None:
    headers["x-moto-account-id"] = OTHER


@pytest.fixture
def opened(s3_url, tmp_path, monkeypatch):
    """A function that makes a launcher's context with a real S3; its bucket is given."""
    from launch import aws

    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL_S3": s3_url}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(aws, "session", boto3.Session)
    draw_channel(tmp_path / "photos", 1)

    def made(bucket: str, accounts: str = "{}") -> ScriptedAws:
        path = tmp_path / "recipe.yaml"
        path.write_text(
            f"name: colours\nsagemaker:\n  bucket: {bucket}\n  bucket_accounts: {accounts}\n"
            f"  channels: {{train: {tmp_path / 'photos'}}}\n"
        )
        one = ScriptedAws(read_recipe(path), tmp_path)
        one.context.own_buckets.clear()
        return one

    return made


def test_photos_go_into_the_accounts_own_bucket(opened):
    one = opened("mine")
    assert [finding.level for finding in the_bucket(one.context)] == ["ok"]
    assert upload_channels(one.context) == 0


def test_anothers_bucket_gets_nothing(opened, s3_url):
    one = opened("theirs")
    (finding,) = the_bucket(one.context)
    assert finding.level == "failed"
    assert finding.text.startswith("the bucket 'theirs' is not of account 123456789012, or you")
    with pytest.raises(LaunchError, match="the bucket 'theirs' is not of account 123456789012"):
        upload_channels(one.context)
    # Even without that look: each request says whose the bucket must be.
    with pytest.raises(Exception, match="AccessDenied") as refused:
        one.context.ask("s3", "PutObject", Bucket="theirs", Key="a", Body=b"a")
    assert "the bucket is another account's" in sentence(refused.value)
    with pytest.raises(Exception, match="AccessDenied"):
        source = {"Bucket": "theirs", "Key": "a"}
        one.context.ask("s3", "CopyObject", Bucket="mine", Key="a", CopySource=source)
    assert client_at(s3_url, "s3").list_objects_v2(Bucket="theirs")["KeyCount"] == 0


def test_a_bucket_of_another_region_gets_nothing(opened, s3_url):
    """boto3 would follow it there, and SageMaker refuse it once all photos were sent."""
    one = opened("far")
    (finding,) = the_bucket(one.context)
    assert finding.level == "failed"
    with pytest.raises(LaunchError, match="the bucket 'far' lies in eu-central-1, and the recipe"):
        upload_channels(one.context)
    assert client_at(s3_url, "s3").list_objects_v2(Bucket="far")["KeyCount"] == 0


def test_a_versioned_bucket_keeps_what_delete_removed(opened, s3_url):
    one = opened("versions")
    place = {"LocationConstraint": "eu-west-1"}
    s3 = client_at(s3_url, "s3")
    s3.create_bucket(Bucket="versions", CreateBucketConfiguration=place)
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="versions", Key="slipway/colours/a", Body=b"a")
    delete_prefix(one.context)
    assert one.printed[0] == "delete: 1 objects removed"
    assert one.printed[1].startswith("delete: the bucket 'versions' is versioned: it keeps 1 of")


def test_a_named_account_may_own_the_bucket(opened):
    one = opened("theirs", f"{{theirs: '{OTHER}'}}")
    assert [finding.level for finding in the_bucket(one.context)] == ["ok"]
    assert upload_channels(one.context) == 0


def test_a_channel_in_anothers_bucket_is_found_before_a_training_reads_it(opened, tmp_path):
    one = opened("mine")
    wanted = {"ModelName": "m", "PrimaryContainer": {"ModelDataUrl": "s3://theirs/model.tar.gz"}}
    with pytest.raises(LaunchError, match="the bucket 'theirs' is not of account"):
        make(one.context, "CreateModel", wanted)
    with pytest.raises(LaunchError, match="the bucket 'none-at-all' does not exist; aws s3 mb"):
        check_bucket(one.context, "none-at-all")


def test_the_buckets_of_a_request():
    request = {"a": [{"b": "s3://one/x"}, "s3://two"], "c": {"d": "none", "e": 3}}
    assert buckets_in(request) == {"one", "two"}


@pytest.mark.parametrize("account", ["1234", "0x123456789012", "''"])
def test_an_account_has_twelve_digits(account):
    with pytest.raises(LaunchError, match="the account of 'b' must have 12 digits, in quotes"):
        recipe(bucket_accounts={"b": account})


@pytest.mark.parametrize("given", ["s3://b/train", "s3://b/train/", "s3://b/train//"])
def test_a_channel_is_a_folder(given):
    """Without the slash `train` also takes `train_old/`, whose photos become a class."""
    one = recipe(channels={"train": given})
    (channel,) = channels(one, target().location)
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == "s3://b/train/"
    assert folder_uri("s3://b") == "s3://b/"


def test_check_names_what_only_begins_like_a_channel(tmp_path):
    one = ScriptedAws(recipe(channels={"train": "s3://b/train"}), tmp_path)
    found = {"CommonPrefixes": [{"Prefix": "train/"}, {"Prefix": "train_old/"}]}
    one.answer("s3", "list_objects_v2", {**found, "Contents": [{"Key": "train.json"}]})
    one.answer("s3", "list_objects_v2", {"KeyCount": 1}, None)
    warning, fine = data(one.context)
    assert warning.level == "warning"
    assert warning.text == (
        "channel train: 's3://b/train' has no slash at its end; s3://b/train/ is read, and not "
        "s3://b/train_old/, s3://b/train.json"
    )
    assert fine.level == "ok"
