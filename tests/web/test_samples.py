"""The samples of the function: photos of one prefix in S3, by boto3's own client."""

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from serve.page import sample_files
from tests.support.aws import aws
from tests.support.servers import photo
from web.aws.endpoint import Samples
from web.exchange import Failure
from web.model import MAX_SAMPLE_BYTES

pytestmark = pytest.mark.slow

CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=2)

NO_MODEL: Any = None  # samples ask no endpoint


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """A folder that is a bucket."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    folder = tmp_path / "photos"
    for name in ("validation/red/a.jpg", "validation/blue/b.PNG"):
        put(folder, name)
    return folder


def put(folder, name: str, data: bytes = photo()) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def client(url: str):
    return boto3.client("s3", region_name="eu-west-1", endpoint_url=url, config=CONFIG)


def names(samples: Samples) -> set[tuple[str, str]]:
    return {(sample.label, sample.name) for sample in (samples() for _ in range(60))}


def test_only_photos_in_a_folder_of_a_label_below_the_prefix_are_shown(bucket):
    put(bucket, "validation/large/a.jpg", photo() + bytes(MAX_SAMPLE_BYTES))
    for other in (
        "train/red/t.jpg",
        "validation.jpg",
        "validation2/red/v.jpg",
        "validation/loose.jpg",
        "validation/red/deep/d.jpg",
        "validation/red/._a.jpg",
        "validation/.old/red.jpg",
        "validation/red/notes.txt",
    ):
        put(bucket, other)
    assert {(file.parent.name, file.name) for file in sample_files(bucket / "validation")} == {
        ("red", "a.jpg"),
        ("blue", "b.PNG"),
    }  # the server's, too
    with aws(NO_MODEL, bucket) as cloud:
        assert names(Samples(client(cloud.url), "photos", "validation/")) == {
            ("red", "a.jpg"),
            ("blue", "b.PNG"),
        }


def test_photos_that_were_exchanged_are_listed_anew(bucket):
    with aws(NO_MODEL, bucket) as cloud:
        samples = Samples(client(cloud.url), "photos", "validation/")
        assert len(names(samples)) == 2
        for gone in ("validation/red/a.jpg", "validation/blue/b.PNG"):
            (bucket / gone).unlink()
        put(bucket, "validation/green/new.jpg")
        assert names(samples) == {("green", "new.jpg")}
        (bucket / "validation/green/new.jpg").unlink()
        with pytest.raises(Failure, match="no sample photos") as caught:
            samples()
        assert caught.value.status == 404


def test_a_bucket_that_cannot_be_read_is_for_the_log_and_one_that_cannot_be_reached_is_told(bucket):
    with aws(NO_MODEL, bucket) as cloud:
        with pytest.raises(ClientError):
            Samples(client(cloud.url), "another", "validation/")()
        url = cloud.url
    with pytest.raises(Failure, match="cannot be reached") as caught:
        Samples(client(url), "photos", "validation/")()
    assert caught.value.status == 503
    assert caught.value.headers == {"Retry-After": "5"}
