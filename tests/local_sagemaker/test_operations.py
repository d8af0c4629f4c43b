"""Local SageMaker's protocol, its checks of requests, its store, and what it leaves behind."""

import json
import os
import signal
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import create_parser

from local_sagemaker import contract
from local_sagemaker.contract import ApiError
from local_sagemaker.objects import relative
from local_sagemaker.store import Store, page
from tests.support.jobs import draw_channel
from tests.support.sagemakers import ended, local_sagemaker, moto, post, training_request, until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def moto_url():
    with moto() as url:
        yield url


@pytest.fixture(scope="module")
def cloud(tmp_path_factory, moto_url):
    with local_sagemaker(tmp_path_factory.mktemp("state"), moto_url) as cloud:
        yield cloud


REFUSED = "failed to satisfy constraint: Member must"
BAD = [
    (
        {"TrainingJobName": "bad name"},
        f"Value 'bad name' at 'trainingJobName' {REFUSED} satisfy regular expression pattern:",
    ),
    (
        {"TrainingJobName": "n" * 64},
        f"at 'trainingJobName' {REFUSED} have length less than or equal to 63",
    ),
    (
        {"RoleArn": None},
        f"Value null at 'roleArn' {REFUSED} not be null",
    ),
    (
        {"AlgorithmSpecification": {"TrainingImage": "x", "TrainingInputMode": "Tape"}},
        f"Value 'Tape' at 'algorithmSpecification.trainingInputMode' {REFUSED} "
        "satisfy enum value set: [Pipe, File, FastFile]",
    ),
    (
        {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 0}},
        f"Value '0' at 'resourceConfig.instanceCount' {REFUSED} have value greater",
    ),
    (
        {"HyperParameters": {"sagemaker_program": '"train.py"'}},
        "a script of your own (sagemaker_program) runs in the training image",
    ),
    (
        {"StoppingCondition": {"MaxRuntimeInSeconds": 0}},
        f"Value '0' at 'stoppingCondition.maxRuntimeInSeconds' {REFUSED} have value greater",
    ),
    (
        {"HyperParameters": {"epochs": "9" * 2501}},
        f"at 'hyperParameters.epochs.member' {REFUSED} have length less than or equal to 2500",
    ),
    (
        {"HyperParameters": {"epochs": 3}},
        "Invalid type for parameter HyperParameters.epochs, value: 3",
    ),
    # A spot training needs a second limit, which this one lacks.
    ({"EnableManagedSpotTraining": True}, "Invalid MaxWaitTimeInSeconds"),
    (
        {"AlgorithmSpecification": {"TrainingImage": "x", "TrainingInputMode": "Pipe"}},
        "is of mode Pipe, which is not done here",
    ),
    (
        {
            "AlgorithmSpecification": {
                "TrainingImage": "x",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "m", "Regex": "loss=[0-9]"}],
            }
        },
        "has no group",
    ),
]


@pytest.mark.parametrize("change, sentence", BAD, ids=range(len(BAD)))
def test_a_wrong_request_is_refused(cloud, change, sentence):
    # None: the field is left out.
    request = {
        key: value
        for key, value in {**training_request("wrong"), **change}.items()
        if value is not None
    }
    # boto3 itself would refuse such a request.
    status, answer = post(cloud, "CreateTrainingJob", json.dumps(request).encode())
    assert status == 400
    assert answer["__type"] in ("ValidationException", "SerializationException")
    assert sentence in answer["message"]


def test_what_is_right_is_let_through():
    request = {
        **training_request("right"),
        # Letters, spaces and signs that SageMaker allows in tags.
        "Tags": [{"Key": "slipway:recipe", "Value": "größe 1/2 = a@b"}],
        "Environment": {"A_1": "x y"},
    }
    assert contract.check("CreateTrainingJob", request) == request


def test_operations_that_are_not_done_say_so(cloud):
    with pytest.raises(
        ClientError,
        match="local SageMaker does not do ListAutoMLJobs; it does AddTags, Batch",
    ) as caught:
        cloud.client("sagemaker").list_auto_ml_jobs()
    assert caught.value.response["Error"]["Code"] == "UnknownOperationException"
    assert (
        post(cloud, "FlyToTheMoon", b"{}")[1]["message"]
        == "SageMaker has no operation 'FlyToTheMoon'"
    )


def test_quotas_are_those_of_this_machine(cloud):
    asked = cloud.client("service-quotas")
    quotas = {
        entry["QuotaName"]: entry["Value"]
        for entry in asked.list_service_quotas(ServiceCode="sagemaker")["Quotas"]
    }
    for name in (
        "ml.g5.xlarge for spot training job usage",
        "ml.c6i.2xlarge for transform job usage",
        "ml.g4dn.xlarge for endpoint usage",
    ):
        assert quotas[name] == 9
    with pytest.raises(ClientError, match="no quotas of 'vpc'"):
        asked.list_service_quotas(ServiceCode="vpc")
    by_tag = cloud.client("resourcegroupstaggingapi")
    assert by_tag.get_resources(ResourceTypeFilters=["sagemaker:app"])["PaginationToken"] == ""


def test_only_this_machine_reaches_it(cloud):
    assert cloud.url.startswith("http://127.0.0.1:")


def test_answers_are_what_botocore_reads():
    record = {
        **training_request("shown"),
        "TrainingJobArn": "arn",
        "TrainingJobStatus": "InProgress",
        "CreationTime": 1700000000.25,
        "Region": "ours",
    }
    body = json.dumps(contract.answer("DescribeTrainingJob", record)).encode()
    shape = contract.operation("DescribeTrainingJob").output_shape
    assert shape is not None
    answer = {"status_code": 200, "headers": {}, "body": body}
    parsed = create_parser("json").parse(answer, shape)
    assert parsed["CreationTime"].timestamp() == 1700000000.25
    assert parsed["HyperParameters"] == record["HyperParameters"]
    # What the server notes for itself is no part of the answer.
    assert "Region" not in parsed
    assert "StoppingCondition" in parsed


def test_a_record_is_there_after_a_restart_and_pages_run_through_all(tmp_path):
    store = Store(tmp_path)
    for number in range(5):
        store.add("model", f"m{number}", {"ModelName": f"m{number}"}, ApiError("x", "taken"))
    with pytest.raises(ApiError, match="taken"):
        store.add("model", "m1", {}, ApiError("x", "taken"))
    # A new Store reads the files, as after a restart.
    records = Store(tmp_path).all("model")
    seen, token = [], None
    while True:
        asked = {
            "MaxResults": 2,
            "SortBy": "Name",
            "SortOrder": "Ascending",
            **({"NextToken": token} if token else {}),
        }
        found, token = page(records, asked, "ModelName", None)
        seen += [record["ModelName"] for record in found]
        if token is None:
            break
    assert seen == ["m0", "m1", "m2", "m3", "m4"]
    third, _ = page(records, {"NameContains": "3"}, "ModelName", None)
    assert [record["ModelName"] for record in third] == ["m3"]
    assert page(records, {"WarmPoolStatusEquals": "Available"}, "ModelName", None) == ([], None)


@pytest.mark.parametrize(
    "uri, prefix, name",
    [
        ("s3://b/photos/red/1.jpg", "s3://b/photos/", "red/1.jpg"),
        ("s3://b/photos/red/1.jpg", "s3://b/photos", "red/1.jpg"),
        ("s3://b/photos/1.jpg", "s3://b/photos/1.jpg", "1.jpg"),
        # A prefix is no folder: it may end within a name.
        ("s3://b/photos-2/1.jpg", "s3://b/photos", "photos-2/1.jpg"),
        ("file:///tmp/a/1.jpg", "/tmp/a", "1.jpg"),
    ],
)
def test_names_below_a_prefix(uri, prefix, name):
    assert relative(uri, prefix) == name


@pytest.mark.training
def test_a_killed_server_leaves_a_failed_job_and_no_process(tmp_path, moto_url):
    request = training_request("long", epochs=1000)
    request["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] = (
        f"file://{draw_channel(tmp_path / 'photos', 4)}"
    )
    request["OutputDataConfig"]["S3OutputPath"] = f"file://{tmp_path}/out"
    with local_sagemaker(tmp_path / "state", moto_url) as cloud:
        sagemaker = cloud.client("sagemaker")
        arn = sagemaker.create_training_job(**request, Tags=[{"Key": "a", "Value": "b"}])[
            "TrainingJobArn"
        ]
        until(
            lambda: (
                sagemaker.describe_training_job(TrainingJobName="long")["SecondaryStatus"]
                == "Training"
            )
        )
        [pid] = until(
            # The server notes the processes that it starts, to end them after a crash.
            lambda: [int(path.name) for path in (tmp_path / "state" / "processes").glob("*")]
        )
        with pytest.raises(ClientError, match="Training job names must be unique") as caught:
            sagemaker.create_training_job(**request)
        assert caught.value.response["Error"]["Code"] == "ResourceInUse"
        cloud.process.send_signal(signal.SIGKILL)
        cloud.process.wait()
        # SIGKILL has ended the server alone.
        assert Path(f"/proc/{pid}").exists()
    with local_sagemaker(tmp_path / "state", moto_url) as cloud:
        sagemaker = cloud.client("sagemaker")
        job = sagemaker.describe_training_job(TrainingJobName="long")
        assert job["TrainingJobStatus"] == "Failed"
        assert (
            job["FailureReason"] == "InternalServerError: the local server ended while the job ran"
        )
        assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
        until(
            lambda: (
                # A zombie has ended: only its parent has not asked.
                not Path(f"/proc/{pid}").exists()
                or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]
            )
        )
        assert not any((tmp_path / "state" / "work").rglob("*"))
        sagemaker.delete_training_job(TrainingJobName="long")
        with pytest.raises(ClientError, match="Requested resource not found"):
            sagemaker.describe_training_job(TrainingJobName="long")


@pytest.mark.training
def test_a_server_that_is_stopped_stops_its_trainings(tmp_path, moto_url):
    request = training_request("halted", epochs=1000)
    request["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] = str(
        draw_channel(tmp_path / "photos", 4)
    )
    with local_sagemaker(tmp_path / "state", moto_url) as cloud:
        sagemaker = cloud.client("sagemaker")
        sagemaker.create_training_job(**request)
        until(
            lambda: (
                sagemaker.describe_training_job(TrainingJobName="halted")["SecondaryStatus"]
                == "Training"
            )
        )
        [pid] = until(
            lambda: [int(path.name) for path in (tmp_path / "state" / "processes").glob("*")]
        )
    # Signal 0 only asks whether the process is there.
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with local_sagemaker(tmp_path / "state", moto_url) as cloud:
        assert (
            "the local server was stopped while the job ran"
            in ended(cloud.client("sagemaker"), "halted")["FailureReason"]
        )
