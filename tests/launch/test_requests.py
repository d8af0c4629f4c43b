"""Every request that the launcher makes, against botocore's own model of the service; and what a recipe cannot say."""

import dataclasses
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from launch.aws import aws_location
from launch.context import validate
from launch.errors import LaunchError
from launch.recipe import Recipe, read_recipe
from launch.requests_batch import transform_job
from launch.requests_debug import debug_job, own_debug_job
from launch.requests_hosting import endpoint, endpoint_config, model
from launch.requests_training import Call, Target, dated, metrics, training_job
from launch.requests_update import alarm, scaling, update
from recipes.sagemaker import Api, Batch, Debugger, Endpoint, SageMakerSettings, Training
from tests.support.jobs import REPOSITORY

RECIPES = sorted((REPOSITORY / "recipes").glob("*.yaml"))
URI = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/slipway-{}@sha256:" + "a" * 64
FULL = {
    "region": "eu-west-1",
    "role": "arn:aws:iam::123456789012:role/other/Role",
    "bucket": "photos",
    "prefix": "a/b/",
    "tags": {"team": "vision"},
    "subnets": ["subnet-1"],
    "security_groups": ["sg-1"],
    "kms_key": "key-1",
    "network_isolation": True,
    "encrypt_traffic": True,
    "channels": {"train": "out/prepared/train", "weights": "s3://weights/resnet50/"},
    "training": {
        "spot": True,
        "max_run_s": 100,
        "instance_count": 2,
        "environment": {"NCCL_DEBUG": "INFO"},
        "attempts": 3,
        "input_mode": "FastFile",
    },
    "endpoint": {
        "instance_type": "ml.g5.xlarge",
        "image": "serve-gpu",
        "max_instances": 3,
        "capture_percent": 5,
        "alarms": ["mine"],
        "environment": {"A": "1"},
    },
}


def recipe(**settings: object) -> Recipe:
    """A recipe of a few settings, read as from its file."""
    document = {
        "name": "three colours",
        "hyperparameters": {"model": "resnet18", "head": [64, 32], "debug": False},
        "sagemaker": settings,
    }
    return read(document)


def read(document: dict) -> Recipe:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recipe.yaml"
        file.write_text(yaml.safe_dump(document))
        return read_recipe(file)


def target(region: str = "eu-west-1") -> Target:
    return Target(
        aws_location(region, "123456789012"),
        {name: URI.format(name) for name in ("train", "serve", "serve-gpu", "serve-mms")},
    )


def hosted(one: Recipe) -> list[Call]:
    where = target()
    multi = (
        "s3://b/shelf/" if one.settings.endpoint.kind == "multi-model" else "s3://b/model.tar.gz"
    )
    return [
        Call(
            "sagemaker",
            "CreateModel",
            model(
                one,
                where,
                "m",
                multi,
                one.settings.endpoint.image,
                one.settings.endpoint.environment,
            ),
        ),
        Call("sagemaker", "CreateEndpointConfig", endpoint_config(one, where.location, "c", "m")),
        Call("sagemaker", "CreateEndpoint", endpoint(one, "c")),
        Call("sagemaker", "UpdateEndpoint", update(one, "c")),
        Call("cloudwatch", "PutMetricAlarm", alarm(one)),
        *scaling(one),
    ]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_make_valid_requests(path):
    one = read_recipe(path)
    for call in [
        Call("sagemaker", "CreateTrainingJob", training_job(one, target(), "job")),
        Call("sagemaker", "CreateTrainingJob", debug_job(one, target(), "job")),
        Call("sagemaker", "CreateTrainingJob", own_debug_job(one, target(), "job")),
        Call(
            "sagemaker",
            "CreateTransformJob",
            transform_job(one, target().location, "job", "m", "s3://b/p/"),
        ),
        *hosted(one),
    ]:
        validate(call)


def test_a_training_request_says_all_of_the_recipe():
    request = training_job(recipe(**FULL), target(), "job")
    validate(Call("sagemaker", "CreateTrainingJob", request))
    assert request["HyperParameters"] == {"model": "resnet18", "head": "64,32", "debug": "false"}
    assert request["RoleArn"] == "arn:aws:iam::123456789012:role/other/Role"
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 200}
    assert request["EnableManagedSpotTraining"] and request["CheckpointConfig"] == {
        "S3Uri": "s3://photos/a/b/checkpoints/job"
    }
    places = [
        channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in request["InputDataConfig"]
    ]
    assert places == ["s3://photos/a/b/data/train/", "s3://weights/resnet50/"]
    assert request["OutputDataConfig"] == {
        "S3OutputPath": "s3://photos/a/b/output",
        "KmsKeyId": "key-1",
    }
    assert (
        "VolumeKmsKeyId" not in request["ResourceConfig"]
    )  # the disks of ml.g5 encrypt themselves
    assert (
        training_job(
            recipe(kms_key="key-1", training={"instance_type": "ml.m5.large"}), target(), "job"
        )["ResourceConfig"]["VolumeKmsKeyId"]
        == "key-1"
    )
    assert request["RetryStrategy"] == {"MaximumRetryAttempts": 3}
    assert request["VpcConfig"] == {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    assert request["EnableNetworkIsolation"] and request["EnableInterContainerTrafficEncryption"]
    assert request["Tags"] == [
        {"Key": "slipway:recipe", "Value": "three colours"},
        {"Key": "team", "Value": "vision"},
    ]
    again = training_job(recipe(**FULL), target(), "job", checkpoints="earlier")
    assert again["CheckpointConfig"] == {"S3Uri": "s3://photos/a/b/checkpoints/earlier"}


def test_a_plain_recipe_takes_sagemakers_own_bucket_and_no_more():
    request = training_job(recipe(), target(), "job")
    assert request["OutputDataConfig"] == {
        "S3OutputPath": "s3://sagemaker-eu-west-1-123456789012/slipway/three-colours/output"
    }
    assert request["RoleArn"] == "arn:aws:iam::123456789012:role/SlipwayRole"
    assert (
        "VpcConfig" not in request
        and "Environment" not in request
        and not request["EnableManagedSpotTraining"]
    )
    assert request["ProfilerConfig"] == {"DisableProfiler": True}


def test_metrics_are_found_in_the_lines_that_training_prints():
    line = "epoch=3 train_loss=1.25e-05 train_accuracy=0.5 validation_loss=2 validation_accuracy=0.8333 lr=0.001"
    found = {entry["Name"]: re.findall(entry["Regex"], line) for entry in metrics()}
    assert found == {
        "train_loss": ["1.25e-05"],
        "train_accuracy": ["0.5"],
        "validation_loss": ["2"],
        "validation_accuracy": ["0.8333"],
        "test_loss": [],
        "test_accuracy": [],
    }


@pytest.mark.parametrize(
    "region, start, hosts",
    [
        ("eu-west-1", "arn:aws:iam::", "amazonaws.com"),
        ("cn-north-1", "arn:aws-cn:iam::", "amazonaws.com.cn"),
        ("us-gov-west-1", "arn:aws-us-gov:iam::", "amazonaws.com"),
    ],
)
def test_partitions(region, start, hosts):
    one = recipe(region=region)
    assert training_job(one, target(region), "job")["RoleArn"].startswith(start)
    rules = debug_job(one, target(region), "job")["DebugRuleConfigurations"]
    assert rules[0]["RuleEvaluatorImage"].endswith(
        f".dkr.ecr.{region}.{hosts}/sagemaker-debugger-rules:latest"
    )
    assert target(region).location.ecr_host() == f"123456789012.dkr.ecr.{region}.{hosts}"


def test_a_region_that_is_none():
    with pytest.raises(LaunchError, match="'moon-east' is not a region"):
        aws_location("moon-east", "1")


@pytest.mark.parametrize(
    "kind, given",
    [
        (
            "real-time",
            {
                "instance_type": "ml.g5.xlarge",
                "image": "serve-gpu",
                "instance_count": 4,
                "capture_percent": 100,
            },
        ),
        ("real-time", {"max_instances": 5}),
        ("serverless", {"provisioned_concurrency": 2}),
        (
            "async",
            {
                "success_topic": "arn:aws:sns:eu-west-1:123456789012:good",
                "concurrent_invocations": 4,
                "max_instances": 2,
                "min_instances": 0,
            },
        ),
        ("multi-model", {"image": "serve-mms"}),
    ],
)
def test_each_kind_of_endpoint(kind, given):
    one = recipe(endpoint={"kind": kind, **given}, kms_key="key-1")
    calls = hosted(one)
    for call in calls:
        validate(call)
    by_name = {call.operation: call.request for call in calls}
    variant = by_name["CreateEndpointConfig"]["ProductionVariants"][0]
    assert ("ServerlessConfig" in variant) == (kind == "serverless") != ("InstanceType" in variant)
    assert ("AsyncInferenceConfig" in by_name["CreateEndpointConfig"]) == (kind == "async")
    assert ("Mode" in by_name["CreateModel"]["PrimaryContainer"]) == (kind == "multi-model")
    assert ("DeploymentConfig" in by_name["UpdateEndpoint"]) == (kind != "serverless")
    assert ("PutScalingPolicy" in by_name) == ("max_instances" in given)
    assert ("DataCaptureConfig" in by_name["CreateEndpointConfig"]) == ("capture_percent" in given)


def test_gpus_get_the_driver_that_the_images_cuda_needs():
    def variant(**given):
        return endpoint_config(
            recipe(endpoint={"image": "serve-gpu", **given}), target().location, "c", "m"
        )["ProductionVariants"][0]

    assert (
        variant(instance_type="ml.g5.xlarge")["InferenceAmiVersion"]
        == "al2023-ami-sagemaker-inference-gpu-4-1"
    )
    assert (
        variant(instance_type="ml.p3.2xlarge", cuda=12)["InferenceAmiVersion"]
        == "al2-ami-sagemaker-inference-gpu-3-1"
    )
    assert "InferenceAmiVersion" not in variant(instance_type="ml.c6i.xlarge")
    with pytest.raises(
        LaunchError, match="ml.p3.2xlarge has a GPU that CUDA 13 no longer supports"
    ):
        variant(instance_type="ml.p3.2xlarge")
    with pytest.raises(LaunchError, match="endpoint.cuda is 14; SageMaker has hosts for 12, 13"):
        variant(instance_type="ml.g5.xlarge", cuda=14)


def test_updates_roll_over_several_instances_and_go_back_on_alarms():
    many, one = (
        update(recipe(endpoint={"instance_count": count, "alarms": ["mine"]}), "c")[
            "DeploymentConfig"
        ]
        for count in (4, 1)
    )
    assert (
        many["AutoRollbackConfiguration"]["Alarms"]
        == one["AutoRollbackConfiguration"]["Alarms"]
        == [{"AlarmName": "slipway-three-colours-5xx"}, {"AlarmName": "mine"}]
    )
    assert many["RollingUpdatePolicy"]["MaximumBatchSize"] == {
        "Type": "CAPACITY_PERCENT",
        "Value": 25,
    }
    assert one["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["Type"] == "ALL_AT_ONCE"


def test_debugger_watches_what_the_recipe_says():
    one = recipe(
        debugger={
            "rules": ["overfit", "VanishingGradient"],
            "rule_parameters": {"overfit.ratio_threshold": 0.2},
            "train_interval": 5,
        }
    )
    request = debug_job(one, target(), "job")
    validate(Call("sagemaker", "CreateTrainingJob", request))
    assert [rule["RuleParameters"] for rule in request["DebugRuleConfigurations"]] == [
        {"rule_to_invoke": "Overfit", "ratio_threshold": "0.2"},
        {"rule_to_invoke": "VanishingGradient"},
    ]
    assert not any(
        "InstanceType" in rule for rule in request["DebugRuleConfigurations"]
    )  # AWS runs built-in rules without one
    assert request["DebugHookConfig"]["CollectionConfigurations"][0]["CollectionParameters"] == {
        "train.save_interval": "5",
        "eval.save_interval": "1",
    }
    own = own_debug_job(one, target(), "job")["HyperParameters"]
    assert (
        own["debug"] == own["profile"] == "true" and own["debug_collections"] == "gradients,weights"
    )
    with pytest.raises(LaunchError, match="no rules in eu-central-2; .*python -m diagnose"):
        debug_job(one, target("eu-central-2"), "job")


def test_names_fit_their_limits():
    assert dated("three colours", "261121-181500") == "three-colours-261121-181500"
    cut = [
        dated("x" * 20 + end, "261121-181500", 32) for end in "12"
    ]  # two searches of one chain, begun in one second
    assert (
        all(
            re.fullmatch("x{13}-[0-9a-f]{4}-261121-181500", name) and len(name) == 32
            for name in cut
        )
        and cut[0] != cut[1]
    )
    assert dated("a__b--c_", "1") == "a-b-c-1"


@pytest.mark.parametrize(
    "settings, told",
    [
        (
            {"regoin": "x"},
            "sagemaker: setting 'regoin' is unknown (did you mean 'region'?); known: region, role",
        ),
        (
            {"training": {"instances": 2}},
            "sagemaker.training: setting 'instances' is unknown (did you mean 'instance_type'?); known: image",
        ),
        (
            {"training": {"max_run_s": "long"}},
            "sagemaker.training.max_run_s must be a whole number; found 'long'",
        ),
        (
            {"training": {"spot": "yes please"}},
            "sagemaker.training.spot must be true or false; found 'yes please'",
        ),
        (
            {"training": [1]},
            "sagemaker.training must be names with values, such as `name: value`; found '[1]'",
        ),
        (
            {"endpoint": {"kind": "fast"}},
            "sagemaker.endpoint.kind must be one of real-time, serverless, async, multi-model; found 'fast'",
        ),
        ({"subnets": ["subnet-1"]}, "sagemaker.subnets and sagemaker.security_groups go together"),
        (
            {"training": {"spot": True, "max_wait_s": 5, "max_run_s": 10}},
            "max_wait_s is 5; it includes the running time",
        ),
        ({"training": {"spot": True, "keep_alive_s": 60}}, "keep_alive_s does not go with spot"),
        ({"debugger": {"rules": ["luck"]}}, "'luck' is not a rule of SageMaker Debugger"),
        ({"debugger": {"profile_interval_ms": 7}}, "profile_interval_ms is 7; expected 100"),
        (
            {"debugger": {"rule_parameters": {"DeadRelu.x": 1}}},
            "expected Rule.parameter of one of the rules",
        ),
        (
            {"endpoint": {"kind": "serverless", "memory_mb": 1000}},
            "memory_mb is 1000; serverless has 1024",
        ),
        (
            {"endpoint": {"kind": "serverless"}, "network_isolation": True},
            "a serverless endpoint cannot have network_isolation",
        ),
        ({"batch": {"instance_type": "ml.g5.xlarge"}}, "have driver 535 at most"),
        ({"batch": {"concurrent": 50}}, "payload_mb is 300 MB; SageMaker allows 100"),
        ({"training": {"image": "mine"}}, "the image 'mine' has not been pushed"),
    ],
)
def test_what_a_recipe_cannot_say(settings, told):
    with pytest.raises(LaunchError, match=re.escape(told)):
        one = recipe(**settings)
        debug_job(one, target(), "job")
        endpoint_config(one, target().location, "c", "m")
        transform_job(one, target().location, "j", "m", "s3://b/p/")


@pytest.mark.parametrize(
    "content, told",
    [("name: [", "is not YAML"), ("hyperparameters:", "has no name"), ("- 1", "holds a list")],
)
def test_what_is_no_recipe(tmp_path, content, told):
    (tmp_path / "recipe.yaml").write_text(content)
    with pytest.raises(LaunchError, match=told):
        read_recipe(tmp_path / "recipe.yaml")
    with pytest.raises(LaunchError, match="cannot be read: No such file"):
        read_recipe(tmp_path / "none.yaml")


def test_a_request_that_aws_would_refuse_is_told_before():
    with pytest.raises(
        LaunchError, match="CreateTrainingJob would be refused: .*ResourceConfig.InstanceCount"
    ):
        one = recipe()
        wrong = replace(
            one,
            sagemaker=replace(
                one.settings, training=replace(one.settings.training, instance_count="two")
            ),
        )
        validate(Call("sagemaker", "CreateTrainingJob", training_job(wrong, target(), "job")))


def test_the_page_of_settings_lists_each_with_its_default():
    rows = re.findall(
        r"^\| `([a-z_.]+)` \| (.*?) \| (.*) \|$",
        (REPOSITORY / "launch/SETTINGS.md").read_text(encoding="utf-8"),
        re.M,
    )
    found = []
    for where, form in (
        ("", SageMakerSettings),
        ("training.", Training),
        ("endpoint.", Endpoint),
        ("api.", Api),
        ("batch.", Batch),
        ("debugger.", Debugger),
    ):
        for entry in dataclasses.fields(form):
            if not dataclasses.is_dataclass(getattr(form(), entry.name)):
                found.append(
                    (
                        f"{where}{entry.name}",
                        shown(getattr(form(), entry.name)),
                        entry.metadata["sets"],
                    )
                )
    assert rows == found


def shown(default: object) -> str:
    """A default as the page has it."""
    if isinstance(default, dict):
        return "`out/prepared/{train,validation,test}`" if default else ""
    value = (
        ",".join(default)
        if isinstance(default, tuple)
        else str(default).lower()
        if isinstance(default, bool)
        else str(default)
    )
    return f"`{value}`" if value else ""
