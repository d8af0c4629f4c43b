"""Looks of `launch check` one by one: their findings at each bound, and refused looks."""

import pytest
from botocore.exceptions import ClientError

from launch import check as checks
from launch import check_account, check_inputs, check_recipe
from launch.check import check, findings_of
from launch.context import LaunchContext
from launch.errors import LaunchError
from launch.findings import Finding
from launch.registry import DOCKER_MANIFEST, OCI_MANIFEST, Manifest
from tests.support.launching import ScriptedAws, recipe

CONFIGURED = {"subnets": ["subnet-1"], "security_groups": ["sg-1"]}


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")

    def scripted(**settings: object) -> ScriptedAws:
        return ScriptedAws(recipe(**settings), tmp_path)

    return scripted


def levels(found: list[Finding]) -> list[str]:
    return [finding.level for finding in found]


@pytest.mark.parametrize(
    "quota, level", [(0.0, "failed"), (1.0, "failed"), (2.0, "ok"), (3.0, "ok")]
)
def test_a_quota_must_be_as_large_as_the_recipes_machines(made, quota, level):
    one = made(training={"instance_count": 2}, endpoint={"kind": "serverless"})
    name = "ml.g5.xlarge for training job usage"
    one.answer(
        "service-quotas",
        "list_service_quotas",
        {"Quotas": [{"QuotaName": name, "Value": quota}]},
        {"ServiceCode": "sagemaker"},
    )
    assert levels(list(check_account.quotas(one.context))) == [level, "warning"]


@pytest.mark.parametrize(
    "settings, wanted",
    [
        (
            {"training": {"spot": True, "instance_count": 3}, "endpoint": {"max_instances": 4}},
            {
                "ml.g5.xlarge for spot training job usage": 3,
                "ml.c6i.2xlarge for transform job usage": 1,
                "ml.c6i.xlarge for endpoint usage": 4,
            },
        ),
        (
            {"batch": {"instance_count": 2}, "endpoint": {"instance_count": 2}},
            {
                "ml.g5.xlarge for training job usage": 1,
                "ml.c6i.2xlarge for transform job usage": 2,
                "ml.c6i.xlarge for endpoint usage": 2,
            },
        ),
    ],
)
def test_machines_by_the_name_of_their_quota(settings, wanted):
    assert check_account.wanted_quotas(recipe(**settings)) == wanted


def test_a_searchs_trainings_run_at_the_same_time(script):
    wanted = check_account.wanted_quotas(script().context.recipe)
    # The demo's search runs two at a time.
    assert wanted["ml.m5.xlarge for training job usage"] == 2


@pytest.mark.parametrize("account, level", [("123456789012", "ok"), ("1", "failed")])
def test_the_account_must_be_the_roles(made, account, level):
    one = made()
    one.answer("sts", "get_caller_identity", {"Account": account, "Arn": "arn:me" + "x" * 20})
    assert levels(list(check_account.credentials(one.context))) == [level]


@pytest.mark.parametrize(
    "service, level", [("sagemaker.amazonaws.com", "ok"), ("ec2.amazonaws.com", "failed")]
)
def test_sagemaker_must_be_able_to_assume_the_role(made, service, level):
    one = made(role="arn:aws:iam::123456789012:role/deep/Role")
    found = {
        "Path": "/deep/",
        "RoleName": "Role",
        "RoleId": "x" * 16,
        "Arn": "arn:aws:iam::123456789012:role/deep/Role",
        "CreateDate": 0,
        "AssumeRolePolicyDocument": service,
    }
    one.answer("iam", "get_role", {"Role": found}, {"RoleName": "Role"})
    assert levels(list(check_account.the_role(one.context))) == [level]


def test_only_a_missing_role_is_a_finding(made):
    one = made()
    one.refuse("iam", "get_role", "NoSuchEntity", "no")
    assert levels(list(check_account.the_role(one.context))) == ["failed"]
    # Who may not ask does not know whether the role is there.
    one.refuse("iam", "get_role", "AccessDenied", "no")
    with pytest.raises(ClientError):
        list(check_account.the_role(one.context))


@pytest.mark.parametrize(
    "answer, headers, level",
    [
        ({"BucketRegion": "eu-west-1"}, {}, "ok"),
        # The answer's field counts before the header.
        ({"BucketRegion": "eu-west-2"}, {"x-amz-bucket-region": "eu-west-1"}, "failed"),
        ({}, {"x-amz-bucket-region": "eu-west-2"}, "failed"),
        ({}, {}, "ok"),
    ],
)
def test_the_bucket_must_lie_in_the_region(made, answer, headers, level):
    one = made()
    one.answer("s3", "head_bucket", {**answer, "ResponseMetadata": {"HTTPHeaders": headers}})
    assert levels(list(check_account.the_bucket(one.context))) == [level]


# S3 answers 301 or 400 for a bucket of another region.
@pytest.mark.parametrize("code", ["404", "NoSuchBucket", "301", "400"])
def test_a_bucket_that_is_missing_or_elsewhere(made, code):
    one = made()
    one.refuse("s3", "head_bucket", code)
    assert levels(list(check_account.the_bucket(one.context))) == ["failed"]
    one.refuse("s3", "head_bucket", "500")
    with pytest.raises(ClientError):
        list(check_account.the_bucket(one.context))


class Kept:
    def __init__(self, media_type: str):
        self.media_type = media_type

    def manifest(self, name: str, reference: str) -> Manifest:
        if not self.media_type:
            raise LaunchError("ECR has no image")
        return Manifest(b"{}", self.media_type)


@pytest.mark.parametrize(
    "media_type, level", [(DOCKER_MANIFEST, "ok"), (OCI_MANIFEST, "failed"), ("", "failed")]
)
def test_an_image_needs_dockers_manifest(made, monkeypatch, media_type, level):
    # No registry is asked.
    monkeypatch.setattr(check_inputs, "registry_of", lambda host: Kept(media_type))
    assert check_inputs.image(made().context, "train").level == level


@pytest.mark.parametrize(
    "host, level",
    [("123456789012.dkr.ecr.eu-west-2.amazonaws.com", "failed"), ("example.org", "warning")],
)
def test_images_elsewhere(made, host, level):
    one = made()
    one.context.target.images["train"] = f"{host}/a:1"
    assert check_inputs.image(one.context, "train").level == level
    del one.context.target.images["train"]
    assert check_inputs.image(one.context, "train").level == "failed"


@pytest.mark.parametrize(
    "given, count, level",
    [("here", 1, "ok"), ("here", 0, "warning"), ("gone", 0, "failed"), ("s3://b/p/", 0, "failed")],
)
def test_a_channel_needs_objects(made, tmp_path, given, count, level):
    (tmp_path / "here").mkdir()
    if not given.startswith("s3://"):
        given = str(tmp_path / given)
    one = made(channels={"train": given}, bucket="photos")
    one.answer("s3", "list_objects_v2", {"KeyCount": count})
    assert levels(list(check_inputs.data(one.context))) == [level]


def test_a_missing_bucket_has_no_objects(made):
    one = made()
    one.refuse("s3", "list_objects_v2", "NoSuchBucket")
    assert check_inputs.has_objects(one.context, "s3://b/p/") is False
    one.refuse("s3", "list_objects_v2", "AccessDenied")
    with pytest.raises(ClientError):
        check_inputs.has_objects(one.context, "s3://b/p/")


@pytest.mark.parametrize(
    "isolated, weights, channel, found",
    [
        # The training would load the weights over the network.
        (True, "imagenet", False, ["ok", "warning"]),
        (True, "imagenet", True, ["ok"]),
        (True, "none", False, ["ok"]),
        (False, "imagenet", False, ["ok"]),
    ],
)
def test_weights_need_a_network_or_a_channel(made, isolated, weights, channel, found):
    channels = {"train": "s3://b/p/"}
    if channel:
        channels["weights"] = "s3://b/w/"
    one = made(network_isolation=isolated, channels=channels)
    one.context.recipe.hyperparameters["weights"] = weights
    assert levels(list(check_recipe.requests(one.context))) == found


@pytest.mark.parametrize("budget, end", [(0, "no sagemaker.budget_usd is set"), (90, " of 90.00")])
def test_the_budgets_line(made, budget, end):
    training = {"instance_type": "ml.m5.large", "max_run_s": 3600, "volume_gb": 0}
    one = made(training=training, budget_usd=budget)
    [found] = check_recipe.budget(one.context)
    assert found.text.startswith("training costs at most 0.12 USD")
    assert found.text.endswith(end)


@pytest.mark.parametrize("code, level", [("AccessDenied", "warning"), ("Busy", "failed")])
def test_a_refused_look_is_a_warning(made, code, level):
    def the_look(context: LaunchContext) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "Look")

    [found] = findings_of(made().context, the_look)  # type: ignore[arg-type]  # it only raises
    assert found.level == level
    # The function's name is the look's.
    assert found.text.startswith("the look: ")


def test_a_fault_of_ours_is_no_finding(made):
    def the_look(context: LaunchContext) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(findings_of(made().context, the_look))  # type: ignore[arg-type]  # it only raises


@pytest.mark.parametrize(
    "found, code", [(["ok", "warning"], 0), (["ok", "failed", "failed"], 1), ([], 0)]
)
def test_the_last_line_counts_findings(made, monkeypatch, found, code):
    one = made()
    monkeypatch.setattr(
        checks, "LOOKS", (lambda context: [Finding(level, "a") for level in found],)
    )
    assert check(one.context) == code
    warnings = found.count("warning")
    said = f"check: {len(found)} looks, {found.count('failed')} failed, {warnings} warnings"
    assert one.printed == [*(f"{level:8} a" for level in found), said]


def test_a_dry_run_shows_each_question(made):
    one = made(channels={"train": "a"}, batch={"image": "serve-mms"})
    one.context.dry = True
    one.context.target.images["serve-mms"] = "example.org/a:1"
    assert check(one.context) == 0
    asked = [(call.operation, call.request) for call in one.context.calls]
    names = [operation for operation, _ in asked]
    assert names == [
        "GetCallerIdentity",
        "GetRole",
        "HeadBucket",
        "BatchGetImage",
        "BatchGetImage",
        "ListServiceQuotas",
        "ListObjectsV2",
    ]
    assert asked[1][1] == {"RoleName": "SlipwayRole"}
    assert asked[3][1]["registryId"] == "123456789012"
    assert asked[3][1]["repositoryName"] == "slipway-serve"
    assert asked[6][1]["MaxKeys"] == 1
