"""Folders of this machine in S3's place: below a root alone, whichever way a request names them."""

import json
import os
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from local_sagemaker import contract, folders, objects
from local_sagemaker.contract import ApiError
from local_sagemaker.job_ends import JobFailed, uploading
from local_sagemaker.objects import ObjectError
from tests.support.hosting import settled, variant
from tests.support.sagemakers import (
    BUCKET,
    ended,
    local_sagemaker,
    moto,
    training_request,
    until,
)
from tests.support.servers import photo

pytestmark = pytest.mark.slow


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The only root: with a file, and links within and out of it."""
    root = tmp_path / "root"
    (root / "data").mkdir(parents=True)
    (root / "data" / "one").write_text("one")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "root-2").mkdir()
    (root / "within").symlink_to("data")
    (root / "out").symlink_to(tmp_path)
    (root / "secret").symlink_to("../secret")
    # The server's own roots must not hold here.
    monkeypatch.setattr(folders, "_roots", [])
    folders.allow([root])
    return root


def test_files_below_a_root_are_read_and_written(root):
    for uri in (f"file://{root}/data", f"{root}/data", f"file://{root}/within"):
        assert objects.listed(uri) == [f"file://{uri.removeprefix('file://')}/one"]
        assert objects.read(f"{uri}/one") == b"one"
    objects.write(f"file://{root}/new/two", b"two")
    assert (root / "new" / "two").read_bytes() == b"two"
    assert objects.listed(f"file://{root}/data/one") == [f"file://{root}/data/one"]


@pytest.mark.parametrize(
    "name",
    [
        "{root}/../secret",
        "{root}/secret",
        "{root}/out/secret",
        # A name that only begins as the root's.
        "{root}-2/secret",
        "/etc/passwd",
        "/",
        "file://",
        "file://etc/passwd",
        "file://localhost/etc/passwd",
        # /proc leads back to the whole file system.
        "file:///proc/self/root/etc/passwd",
        # No path may hold a zero byte.
        "{root}/data/\0",
        "{root}/data/../../secret",
    ],
)
def test_nothing_else_is(root, tmp_path, name):
    uri = name.format(root=f"file://{root}")
    for use in (
        objects.listed,
        objects.read,
        lambda uri: objects.write(uri, b"changed"),
        objects.remove,
        lambda uri: objects.fetch(uri, tmp_path / "fetched"),
        lambda uri: objects.put(root, "data/one", uri),
    ):
        with pytest.raises(ObjectError):
            use(uri)
    assert (tmp_path / "secret").read_text() == "secret"
    assert not (tmp_path / "fetched").exists()


def test_a_refusal_says_what_to_do(root):
    with pytest.raises(ObjectError, match="is not below .*/root; start the server with --root"):
        objects.read("file:///etc/passwd")


OUTSIDE = "file:///etc/slipway"
AWAY = {"S3OutputPath": OUTSIDE}


@pytest.mark.parametrize(
    ("operation", "part"),
    [
        ("CreateTrainingJob", {"OutputDataConfig": AWAY}),
        ("CreateTrainingJob", {"CheckpointConfig": {"S3Uri": OUTSIDE}}),
        ("CreateTrainingJob", {"DebugHookConfig": AWAY}),
        ("CreateTrainingJob", {"TensorBoardOutputConfig": AWAY}),
        ("CreateTrainingJob", {"ProfilerConfig": AWAY}),
        ("CreateTransformJob", {"TransformOutput": AWAY}),
        ("CreateModel", {"PrimaryContainer": {"Mode": "MultiModel", "ModelDataUrl": "/etc/"}}),
        (
            "CreateEndpointConfig",
            {"AsyncInferenceConfig": {"OutputConfig": {"S3FailurePath": OUTSIDE}}},
        ),
        (
            "CreateEndpointConfig",
            {
                "DataCaptureConfig": {
                    "InitialSamplingPercentage": 100,
                    "DestinationS3Uri": OUTSIDE,
                    "CaptureOptions": [{"CaptureMode": "Input"}],
                }
            },
        ),
    ],
)
def test_a_request_for_another_place_is_refused_before_anything_is_done(root, operation, part):
    with pytest.raises(ApiError, match=r"'file:///etc|'/etc") as caught:
        contract.check(operation, part)
    assert "is not below" in caught.value.message
    assert "start the server with --root" in caught.value.message


def test_a_failed_upload_is_not_called_a_download(root):
    said = "^ClientError: Artifact upload failed:'file:///etc/x'"
    with pytest.raises(JobFailed, match=said), uploading():
        objects.write("file:///etc/x", b"model")


def test_a_fifo_below_a_root_is_not_waited_for(root):
    # Reading it would wait for a writer for ever.
    os.mkfifo(root / "fifo")
    for use in (objects.read, lambda uri: objects.fetch(uri, root / "copy")):
        with pytest.raises(ObjectError):
            use(f"file://{root}/fifo")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """Its roots: the folder of start, which is the repository, and the state's parent."""
    base = tmp_path_factory.mktemp("base")
    with moto() as url, local_sagemaker(base / "state", url) as running:
        yield running


def test_a_training_reads_and_writes_only_below_the_roots(cloud, tmp_path_factory):
    sagemaker = cloud.client("sagemaker")
    outside = tmp_path_factory.mktemp("outside")
    # A link below a root that leads out of it.
    inside = Path(cloud.state).parent / "link"
    inside.symlink_to(outside)
    (outside / "photo").write_text("the user's own")
    request = training_request("outside")
    source = request["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    for folder in (outside, inside):
        source["S3Uri"] = f"file://{folder}/"
        with pytest.raises(ClientError, match="--root"):
            sagemaker.create_training_job(**request)
    # A manifest is read when the training runs.
    manifest = [{"prefix": f"file://{outside}/"}, "photo"]
    cloud.client("s3").put_object(Bucket=BUCKET, Key="manifest", Body=json.dumps(manifest))
    source |= {"S3DataType": "ManifestFile", "S3Uri": f"s3://{BUCKET}/manifest"}
    sagemaker.create_training_job(**request)
    job = ended(sagemaker, "outside")
    assert job["TrainingJobStatus"] == "Failed"
    assert "--root" in job["FailureReason"]


def test_an_asynchronous_answer_without_a_place_stays_in_the_state(hosting):
    sagemaker, runtime = hosting.client("sagemaker"), hosting.client("sagemaker-runtime")
    sagemaker.create_endpoint_config(
        EndpointConfigName="placeless",
        ProductionVariants=[variant()],
        AsyncInferenceConfig={"OutputConfig": {}},
    )
    sagemaker.create_endpoint(EndpointName="placeless", EndpointConfigName="placeless")
    assert settled(sagemaker, "placeless")["EndpointStatus"] == "InService"
    hosting.client("s3").put_object(Bucket="photos", Key="asked.jpg", Body=photo())
    answer = runtime.invoke_endpoint_async(
        EndpointName="placeless", InputLocation="s3://photos/asked.jpg", ContentType="image/jpeg"
    )
    place = Path(answer["OutputLocation"].removeprefix("file://"))
    assert place.is_relative_to(hosting.state / "async-inference" / "placeless")
    until(place.is_file)
    given = {"EndpointName": "placeless", "InputLocation": "s3://photos/asked.jpg"}
    for wrong, reason in (
        ({"S3OutputPathExtension": "../../more"}, "without '..'"),
        ({"InputLocation": "file:///etc/passwd"}, "is not below"),
        ({"Filename": "/answer"}, "regular expression pattern"),
    ):
        with pytest.raises(ClientError, match=reason) as caught:
            runtime.invoke_endpoint_async(**{**given, **wrong})
        assert caught.value.response["Error"]["Code"] == "ValidationError"
    sagemaker.delete_endpoint(EndpointName="placeless")
