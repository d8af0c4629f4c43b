"""What SageMaker's SDKs ask and read at once: their identity, their defaults, fields of answers."""

import json

from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from local_sagemaker import answer_fields, contract
from local_sagemaker.aws import sdk_defaults
from local_sagemaker.aws.identity import Identity
from tests.support.jobs import REPOSITORY


@Request.application
def behind(request):
    """Stands for moto: it says which action has reached it."""
    return Response(f"moto: {request.form.get('Action')}")


def test_who_asks_has_taken_the_role_and_may_do_all():
    client = Client(Identity(behind, "MyRole"))
    found = client.post("/", data={"Action": "GetCallerIdentity"}).text
    assert "<Arn>arn:aws:sts::123456789012:assumed-role/MyRole/local</Arn>" in found
    names = {"ActionNames.member.1": "s3:GetObject", "ActionNames.member.2": "s3:PutObject"}
    found = client.post("/", data={"Action": "SimulatePrincipalPolicy", **names}).text
    assert found.count("<EvalDecision>allowed</EvalDecision>") == 2
    assert client.post("/", data={"Action": "GetRole"}).text == "moto: GetRole"
    assert client.put("/bucket/key", data=b"Action=GetCallerIdentity").text == "moto: None"


def test_the_sdks_find_bucket_and_role_by_a_file(tmp_path):
    [(name, path)] = sdk_defaults.write(tmp_path, "arn:role", "bucket").items()
    assert name == "SAGEMAKER_ADMIN_CONFIG_OVERRIDE"
    with open(path, encoding="utf-8") as file:
        settings = json.load(file)["SageMaker"]
    assert settings["PythonSDK"]["Modules"]["Session"] == {"DefaultS3Bucket": "bucket"}
    assert settings["TrainingJob"] == {"RoleArn": "arn:role"}


def test_an_answer_has_the_fields_that_a_request_left_out():
    """attach() and best_estimator() of SDK v2 read them without a look."""
    record = {
        "OutputDataConfig": {"S3OutputPath": "s3://b", "CompressionType": "NONE"},
        "InputDataConfig": [{"ChannelName": "train"}],
    }
    found = answer_fields.complete("DescribeTrainingJob", record)
    assert found["OutputDataConfig"]["KmsKeyId"] == ""
    assert found["OutputDataConfig"]["CompressionType"] == "NONE"
    assert found["InputDataConfig"][0]["CompressionType"] == "None"
    assert found["EnableManagedSpotTraining"] is False
    assert "KmsKeyId" not in record["OutputDataConfig"]


def test_a_tuning_job_has_what_attach_reads():
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
    objective = {"Type": "Maximize", "MetricName": "accuracy"}
    record = {
        "HyperParameterTuningJobConfig": {"HyperParameterTuningJobObjective": objective},
        "TrainingJobDefinition": {
            "HyperParameterTuningResourceConfig": resources,
            "OutputDataConfig": {"S3OutputPath": "s3://b"},
        },
    }
    found = answer_fields.complete("DescribeHyperParameterTuningJob", record)
    definition = found["TrainingJobDefinition"]
    assert definition["OutputDataConfig"]["KmsKeyId"] == ""
    assert definition["ResourceConfig"] == resources
    assert definition["StaticHyperParameters"] == {"_tuning_objective_metric": "accuracy"}
    assert "TrainingJobDefinitions" not in found


def test_folders_stand_for_s3_in_models_and_configurations_too():
    root = f"file://{REPOSITORY}"  # where this process was started
    container = {"Image": "i", "ModelDataUrl": f"{root}/models/one.tar.gz"}
    model = {"ModelName": "m", "PrimaryContainer": container}
    assert contract.check("CreateModel", model) == model
    source = {"S3Uri": f"{root}/one/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    model["PrimaryContainer"] = {"Image": "i", "ModelDataSource": {"S3DataSource": source}}
    assert contract.check("CreateModel", model) == model
    config = {
        "EndpointConfigName": "c",
        "ProductionVariants": [{"VariantName": "v", "ModelName": "m"}],
        "AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": f"{root}/answers"}},
    }
    assert contract.check("CreateEndpointConfig", config) == config
