"""Which model the endpoint serves: SageMaker is asked, so that lost notes change no answer."""

from launch.deployed import deployed_model
from tests.launch.test_hosting_steps import is_in
from tests.support.launching import ARN, CREATED, JOB, ScriptedAws


def serves(one: ScriptedAws, **container: str) -> None:
    """The endpoint has a configuration whose model has this container."""
    is_in(one, "InService", "lost")
    config = {
        "EndpointConfigName": "lost",
        "EndpointConfigArn": ARN,
        "ProductionVariants": [{"VariantName": "v", "ModelName": "m"}],
        "CreationTime": CREATED,
    }
    one.answer("sagemaker", "describe_endpoint_config", config, {"EndpointConfigName": "lost"})
    model = {"ModelName": "m", "ModelArn": ARN, "CreationTime": CREATED}
    found = {**model, "PrimaryContainer": container}
    one.answer("sagemaker", "describe_model", found, {"ModelName": "m"})


def test_a_model_of_s3(colours):
    one = colours()
    one.context.note("model", "another", data="s3://b/older.tar.gz")
    serves(one, ModelDataUrl="s3://b/model.tar.gz")
    assert deployed_model(one.context) == "s3://b/model.tar.gz"
    one.finished()


def test_a_registered_version(colours):
    one = colours()
    serves(one, ModelPackageName="arn:1")
    package = {
        "ModelPackageName": "p",
        "ModelPackageArn": ARN,
        "CreationTime": CREATED,
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
        "InferenceSpecification": {"Containers": [{"Image": "x", "ModelDataUrl": "s3://b/p.gz"}]},
    }
    one.answer("sagemaker", "describe_model_package", package, {"ModelPackageName": "arn:1"})
    assert deployed_model(one.context) == "s3://b/p.gz"
    one.finished()


def test_without_an_endpoint_it_is_the_latest_trainings(colours):
    one = colours()
    one.context.note("training", JOB)
    one.no_endpoint()
    wanted = f"s3://photos/slipway/colours/output/{JOB}/output/model.tar.gz"
    assert deployed_model(one.context) == wanted
