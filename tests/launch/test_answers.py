"""What comes back from SageMaker: an endpoint's answers, a transform job's, a training's reports, a search's table, and AWS's refusals."""

import io
import json
import tarfile

import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from launch.batch import batch, read_answer
from launch.check import check
from launch.download import report
from launch.errors import LaunchError, is_missing, sentence
from launch.hosting import deploy
from launch.invoke import invoke
from launch.jobs import train
from launch.recipe import read_recipe
from tests.support.jobs import REPOSITORY, draw_channel
from tests.support.launching import ScriptedAws
from tests.support.registries import aws, no_credentials
from tune.results import read_results

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:training-job/x"
LABELS = {"blue": 0.9, "green": 0.06, "red": 0.04}


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A script on the demo's recipe, with `endpoint` changed as asked."""
    no_credentials(monkeypatch)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")

    def made(kind: str = "real-time", **options: object) -> ScriptedAws:
        path = tmp_path / "recipe.yaml"
        path.write_text(
            f"name: colours\nhyperparameters: {{model: resnet18}}\nsagemaker:\n  bucket: photos\n  endpoint: {{kind: {kind}}}\n"
        )
        return ScriptedAws(read_recipe(path), tmp_path, **options)

    return made


def body(content: bytes) -> StreamingBody:
    return StreamingBody(io.BytesIO(content), len(content))


def answer(label: str = "blue") -> bytes:
    top = [{"label": name, "probability": value} for name, value in LABELS.items()]
    return json.dumps(
        {"predictions": [{"label": label, "probability": LABELS[label], "top": top}]}
    ).encode()


@pytest.fixture
def photos(tmp_path):
    return draw_channel(tmp_path / "photos", 1)


def test_a_photos_answer_is_a_row(script, photos):
    one = script(photos=[str(photos / "blue")])
    photo = photos / "blue/blue 0.jpg"
    one.answer(
        "sagemaker-runtime",
        "invoke_endpoint",
        {"Body": body(answer())},
        {
            "EndpointName": "colours",
            "Body": photo.read_bytes(),
            "ContentType": "image/jpeg",
            "Accept": "application/json",
        },
    )
    assert invoke(one.context) == 0
    rows = [line.split() for line in one.finished().splitlines()]
    assert rows == [
        ["photo", "label", "probability", "next"],
        ["blue/blue", "0.jpg", "blue", "0.9000", "green", "0.0600"],
    ]


def test_answers_as_json_and_photos_of_s3(script):
    one = script("multi-model", photos=["s3://b/a/photo.png"], json=True, target="other.tar.gz")
    one.answer(
        "s3", "get_object", {"Body": body(b"a photo")}, {"Bucket": "b", "Key": "a/photo.png"}
    )
    one.answer(
        "sagemaker-runtime",
        "invoke_endpoint",
        {"Body": body(answer())},
        {
            "EndpointName": "colours",
            "Body": b"a photo",
            "ContentType": "image/png",
            "Accept": "application/json",
            "TargetModel": "other.tar.gz",
        },
    )
    assert invoke(one.context) == 0
    assert (
        json.loads(one.finished())["label"] == "blue"
        and json.loads(one.finished())["photo"] == "s3://b/a/photo.png"
    )


def test_refusals_stand_in_the_table(script, photos, tmp_path):
    one = script(photos=[str(photos / "blue/blue 0.jpg")])
    one.stub("sagemaker-runtime").add_client_error(
        "invoke_endpoint",
        "ModelError",
        "Received client error (422)",
        424,
        modeled_fields={
            "OriginalStatusCode": 422,
            "OriginalMessage": '{"error": "it is no photo"}',
        },
    )
    assert invoke(one.context) == 1
    assert "blue/blue 0.jpg  failed: 422: it is no photo" in one.finished()
    large = tmp_path / "large.jpg"
    large.write_bytes(b"0" * 4_000_001)
    two = script("serverless", photos=[str(large)])
    assert invoke(two.context) == 1
    assert (
        "failed: it has 4.0 MB; serverless endpoints take 4.0 MB (async ones 1 GB)"
        in two.finished()
    )
    three = script(photos=[str(photos / "blue/blue 0.jpg")])
    three.answer("sagemaker-runtime", "invoke_endpoint", {"Body": body(b"hello")})
    assert invoke(three.context) == 1
    assert "has not the form of slipway-serve's answers" in three.finished()


@pytest.mark.parametrize(
    "given, told", [("none.jpg", "there is no photo 'none.jpg'"), (".", "there are no photos in .")]
)
def test_photos_that_are_not_there(script, tmp_path, monkeypatch, given, told):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(LaunchError, match=told):
        invoke(script(photos=[given]).context)


def test_asynchronous_answers_are_waited_for(script, photos):
    one = script("async", photos=[str(photos / "blue/blue 0.jpg")])
    key = "slipway/colours/async/input/261121-181500/blue/blue 0.jpg"
    where = {
        "OutputLocation": "s3://photos/out/1.out",
        "FailureLocation": "s3://photos/failed/1.out",
    }
    one.answer(
        "s3",
        "put_object",
        {},
        {
            "Bucket": "photos",
            "Key": key,
            "Body": (photos / "blue/blue 0.jpg").read_bytes(),
            "ContentType": "image/jpeg",
        },
    )
    one.answer(
        "sagemaker-runtime",
        "invoke_endpoint_async",
        where,
        {
            "EndpointName": "colours",
            "InputLocation": f"s3://photos/{key}",
            "ContentType": "image/jpeg",
            "Accept": "application/json",
        },
    )
    for _ in range(2):
        one.refuse("s3", "get_object", "NoSuchKey")
    one.answer(
        "s3", "get_object", {"Body": body(answer())}, {"Bucket": "photos", "Key": "out/1.out"}
    )
    assert invoke(one.context) == 0
    assert "0.9000" in one.finished()
    two = script("async", photos=["s3://photos/a.jpg"])
    two.answer("sagemaker-runtime", "invoke_endpoint_async", where)
    two.refuse("s3", "get_object", "NoSuchKey")
    two.answer(
        "s3",
        "get_object",
        {"Body": body(b'{"error": "too large"}')},
        {"Bucket": "photos", "Key": "failed/1.out"},
    )
    assert invoke(two.context) == 1
    assert "failed: too large" in two.finished()


def test_a_multi_model_endpoint_gets_another_model_by_a_copy(script):
    one = script("multi-model", model="s3://b/job/output/model.tar.gz", target="second.tar.gz")
    one.answer(
        "sagemaker",
        "describe_endpoint",
        {
            "EndpointName": "colours",
            "EndpointArn": ARN,
            "EndpointConfigName": "c",
            "EndpointStatus": "InService",
            "CreationTime": 0,
            "LastModifiedTime": 0,
        },
    )
    one.answer(
        "s3",
        "copy_object",
        {},
        {
            "Bucket": "photos",
            "Key": "slipway/colours/shelf/second.tar.gz",
            "CopySource": {"Bucket": "b", "Key": "job/output/model.tar.gz"},
        },
    )
    assert deploy(one.context) == 0
    assert "invoke --target second.tar.gz" in one.finished()


def test_a_transform_job_over_a_folder(script, photos):
    one = script(photos="s3://b/photos/", model="s3://b/model.tar.gz")
    name = "colours-batch-261121-181500"
    one.answer("sagemaker", "create_model", {"ModelArn": ARN})
    one.answer("sagemaker", "create_transform_job", {"TransformJobArn": ARN})
    described = {
        "TransformJobName": name,
        "TransformJobArn": ARN,
        "ModelName": name,
        "CreationTime": 0,
        "TransformResources": {"InstanceType": "ml.c6i.2xlarge", "InstanceCount": 1},
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/"}}
        },
    }
    one.answer(
        "sagemaker", "describe_transform_job", {**described, "TransformJobStatus": "InProgress"}
    )
    one.logged()
    one.answer(
        "sagemaker", "describe_transform_job", {**described, "TransformJobStatus": "Completed"}
    )
    one.logged("a line")
    one.answer(
        "s3",
        "list_objects_v2",
        {"Contents": [{"Key": f"slipway/colours/batch/{name}/blue/blue 0.jpg.out"}]},
        {"Bucket": "photos", "Prefix": f"slipway/colours/batch/{name}/"},
    )
    one.answer("s3", "get_object", {"Body": body(answer())})
    assert batch(one.context) == 0
    assert one.finished().endswith(
        f"answers: s3://photos/slipway/colours/batch/{name}/ (one .out per photo)\n"
        "photo            label  probability  next\nblue/blue 0.jpg  blue   0.9000       green  0.0600"
    )


@pytest.mark.parametrize(
    "content, failure",
    [
        (b'{"error": "it is no photo"}', "it is no photo"),
        (b"[]", "has not the form of slipway-serve's answers"),
        (b"\xff\xd8", "has not the form of slipway-serve's answers"),
    ],
)
def test_a_photo_without_an_answer_in_a_transform_job(tmp_path, content, failure):
    (tmp_path / "one.jpg.out").write_bytes(content)
    found = read_answer(tmp_path / "one.jpg.out", "one.jpg")
    assert failure in found.failure and found.photo.where == "one.jpg"


def packed(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def test_a_trainings_reports_come_home(script, tmp_path, monkeypatch):
    with aws(monkeypatch):
        from launch.aws import client

        s3 = client("s3", "eu-west-1")
        s3.create_bucket(
            Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        below = "slipway/colours/output/job"
        s3.put_object(
            Bucket="photos",
            Key=f"{below}/output/model.tar.gz",
            Body=packed(
                {
                    "model.json": b'{"accuracy": {"test": 0.5}}',
                    "../outside": b"x",
                    "/absolute": b"x",
                }
            ),
        )
        s3.put_object(
            Bucket="photos",
            Key=f"{below}/output/output.tar.gz",
            Body=packed({"report.html": b"<html>", "metrics.json": b"{}"}),
        )
        one = ScriptedAws(read_recipe_with_bucket(tmp_path), tmp_path, job="job")
        assert report(one.context) == 0
        folder = tmp_path / "launch/colours/job"
        assert one.finished().splitlines() == [
            f"report: {folder / 'output/data/report.html'}",
            "report: measured through the artifact: {'test': 0.5}",
        ]
        assert not (tmp_path / "launch/colours/job/outside").exists()
        s3.put_object(
            Bucket="photos",
            Key=f"{below}/debug-output/collections/000000000/worker_0_collections.json",
            Body=b"{}",
        )
        two = ScriptedAws(read_recipe_with_bucket(tmp_path), tmp_path, job="job")
        report(two.context)
        assert (
            folder / "output/debug-output/collections/000000000/worker_0_collections.json"
        ).read_bytes() == b"{}"
        assert (
            f"`python -m diagnose {folder / 'output'}` ended with code 1" in two.finished()
        )  # so it was run


def read_recipe_with_bucket(tmp_path):
    (tmp_path / "recipe.yaml").write_text("name: colours\nsagemaker: {bucket: photos}\n")
    return read_recipe(tmp_path / "recipe.yaml")


def searched() -> tuple[dict, list[dict]]:
    config = {
        "Strategy": "Bayesian",
        "HyperParameterTuningJobObjective": {
            "Type": "Maximize",
            "MetricName": "validation_accuracy",
        },
        "ResourceLimits": {"MaxParallelTrainingJobs": 1},
        "ParameterRanges": {
            "ContinuousParameterRanges": [
                {"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Logarithmic"}
            ],
            "CategoricalParameterRanges": [{"Name": "batch_size", "Values": ["16", "32"]}],
        },
    }
    definition = {
        "StaticHyperParameters": {"model": "resnet18", "lr": "7"},
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::123456789012:role/Role",
        "OutputDataConfig": {"S3OutputPath": "s3://b/"},
        "StoppingCondition": {},
    }
    trials = [
        {
            "TrainingJobName": f"trial-{number}",
            "TrainingJobArn": ARN,
            "CreationTime": 0,
            "TrainingJobStatus": "Completed",
            "TunedHyperParameters": {"lr": f"0.0{number}", "batch_size": "16"},
            "FinalHyperParameterTuningJobObjectiveMetric": {
                "MetricName": "validation_accuracy",
                "Value": value,
            },
        }
        for number, value in ((1, 0.25), (2, 0.75))
    ]
    return {
        "HyperParameterTuningJobName": "search",
        "HyperParameterTuningJobArn": ARN,
        "HyperParameterTuningJobConfig": config,
        "TrainingJobDefinition": definition,
        "HyperParameterTuningJobStatus": "Completed",
        "CreationTime": 0,
        "TrainingJobStatusCounters": {},
        "ObjectiveStatusCounters": {},
        "BestTrainingJob": trials[1],
    }, trials


def test_a_searchs_table_is_tunes_own(script, tmp_path):
    one = script()
    one.context.note("tuning", "search", search="colours")
    described, trials = searched()
    one.answer("sagemaker", "describe_hyper_parameter_tuning_job", described)
    one.answer(
        "sagemaker",
        "list_training_jobs_for_hyper_parameter_tuning_job",
        {"TrainingJobSummaries": trials[:1], "NextToken": "more"},
    )
    one.answer(
        "sagemaker",
        "list_training_jobs_for_hyper_parameter_tuning_job",
        {"TrainingJobSummaries": trials[1:]},
    )
    assert report(one.context) == 0
    assert (
        "trial-2" in one.finished()
        and one.printed[-1] == f"report: {tmp_path / 'launch/colours/search/report.html'}"
    )
    assert "trial-2" in (tmp_path / "launch/colours/search/report.html").read_text()
    job = read_results(tmp_path / "launch/colours/search/results.json")[0]
    assert job.best().hyperparameters == {"model": "resnet18", "lr": "0.02", "batch_size": "16"}
    assert job.ranges["lr"] == {
        "type": "Continuous",
        "min": 0.001,
        "max": 0.1,
        "scale": "Logarithmic",
    }


def test_the_best_trials_hyperparameters_are_trained_and_its_model_deployed(script):
    one = script(best=True, no_wait=True)
    one.context.note("tuning", "search", search="colours")
    one.answer("sagemaker", "describe_hyper_parameter_tuning_job", searched()[0])
    asked = []
    one.record("CreateTrainingJob", asked)
    one.answer("sagemaker", "create_training_job", {"TrainingJobArn": ARN})
    assert train(one.context) == 0
    assert "best of search: trial-2" in one.finished()
    assert asked[0]["HyperParameters"] == {"model": "resnet18", "lr": "0.02", "batch_size": "16"}


def test_quotas_are_looked_at(script):
    one = script()
    for service in ("sts", "iam", "s3", "sagemaker"):
        one.stub(service)
    one.answer(
        "service-quotas",
        "list_service_quotas",
        {
            "Quotas": [
                {"QuotaName": "ml.g5.xlarge for training job usage", "Value": 0.0},
                {"QuotaName": "ml.c6i.xlarge for endpoint usage", "Value": 2.0},
            ]
        },
    )
    one.refuse("sts", "get_caller_identity", "AccessDenied", "no")
    one.refuse("iam", "get_role", "AccessDenied", "no")
    one.refuse("s3", "head_bucket", "301", "Moved Permanently")
    for _ in range(3):
        one.refuse("s3", "list_objects_v2", "AccessDenied", "no")
    one.context.target.images.clear()
    assert check(one.context) == 1
    told = one.printed
    for line in (
        "failed   quota 'ml.g5.xlarge for training job usage' is 0, the recipe needs 1; ask for more under Service Quotas",
        "ok       quota 'ml.c6i.xlarge for endpoint usage' is 2",
        "warning  quota 'ml.c6i.2xlarge for transform job usage' is not listed; is ml.c6i.2xlarge offered in eu-west-1?",
        "failed   the bucket 'photos' lies in another region than eu-west-1; set sagemaker.region to its own",
    ):
        assert line in told, told
    assert any(line.startswith("warning  the role: you may not GetRole") for line in told)


@pytest.mark.parametrize(
    "code, message, told",
    [
        (
            "AccessDeniedException",
            "User: u is not authorized to perform: sagemaker:CreateModel on resource: r",
            "you may not sagemaker:CreateModel: ",
        ),
        ("ResourceLimitExceeded", "limit 0", "a quota of your account is reached: limit 0"),
        ("ExpiredTokenException", "x", "the AWS credentials have expired"),
        (
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
            "AWS does not know these credentials",
        ),
        (
            "ValidationException",
            "Cannot find the requested image in the registry",
            "the image is not in ECR, or the role may not pull it",
        ),
        ("PermanentRedirect", "use another endpoint", "the bucket lies in another region"),
        ("NoSuchBucket", "b", "there is no bucket of that name"),
        ("ThrottlingException", "Rate exceeded", "AWS throttled the request"),
        (
            "CapacityError",
            "Unable to provision requested ML compute capacity",
            "AWS has no such machine free now",
        ),
        ("OptInRequired", "x", "this region is not switched on"),
        (
            "ValidationException",
            "something else",
            "CreateX answered ValidationException: something else",
        ),
    ],
)
def test_refusals_become_one_sentence(code, message, told):
    error = ClientError({"Error": {"Code": code, "Message": message}}, "CreateX")
    assert sentence(error).startswith(told) and "\n" not in sentence(error)


def test_only_what_is_not_there_is_missing():
    def missing(code, message):
        return is_missing(ClientError({"Error": {"Code": code, "Message": message}}, "X"))

    assert missing("ValidationException", "Could not find endpoint") and missing("NoSuchKey", "")
    assert missing("ValidationException", "Requested resource not found.")
    assert not missing("AccessDeniedException", "not found") and not missing(
        "ValidationException", "1 validation error detected"
    )


def test_the_recipes_are_read_from_the_repository():
    assert {
        read_recipe(path).settings.endpoint.kind for path in (REPOSITORY / "recipes").glob("*.yaml")
    } == {"serverless", "real-time"}
