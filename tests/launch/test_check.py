"""The command check, with AWS refusing to show some things."""

from launch.check import check


def test_quotas_are_looked_at(colours):
    one = colours()
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
    printed = one.printed
    for line in (
        "failed   quota 'ml.g5.xlarge for training job usage' is 0, "
        "the recipe needs 1; ask for more under Service Quotas",
        "ok       quota 'ml.c6i.xlarge for endpoint usage' is 2",
        "warning  quota 'ml.c6i.2xlarge for transform job usage' is not listed; "
        "is ml.c6i.2xlarge offered in eu-west-1?",
        "failed   the bucket 'photos' lies in another region than eu-west-1; "
        "set sagemaker.region to its own",
    ):
        assert line in printed, printed
    assert any(line.startswith("warning  the role: you may not GetRole") for line in printed)
