"""An AWS account of moto's as `launch` needs it: a role, a bucket, and the images in ECR.

All go to the endpoints that the environment names.
"""

import json
from pathlib import Path

from botocore.exceptions import ClientError

from local_sagemaker.aws import cloud

IMAGES = ("train", "serve", "serve-gpu", "serve-mms", "serve-mms-torch")
TAG = "latest"  # the engine here finds an image by its own name and this tag
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
        }
    ],
}
# No layer is pulled from moto: this is the manifest of an image without layers.
EMPTY_MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "layers": [],
    "config": {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": 2,
        "digest": f"sha256:{0:064}",
    },
}


def furnish(region: str, role: str, bucket: str, images: Path) -> tuple[str, str]:
    """Make the role, the bucket and the images, and write the images' URIs to a file.

    role: a name or an ARN. bucket: "" for the one that SageMaker's SDK makes for an account.
    The role's ARN and the bucket's name.
    """
    number = cloud.client("sts").get_caller_identity()["Account"]
    role_arn = make_role(role.rpartition("/")[2])
    account = number
    if role.startswith("arn:"):  # it names the account, and `launch` takes it from there
        account = role.split(":")[4]
    bucket = bucket or f"sagemaker-{region}-{account}"
    make_bucket(bucket, region)
    host = f"{number}.dkr.ecr.{region}.amazonaws.com"
    uris = {}
    for name in IMAGES:
        repository = f"slipway-{name}"
        cloud.client("ecr").create_repository(repositoryName=repository)
        put_image(repository, TAG)
        uris[name] = f"{host}/{repository}:{TAG}"
    images.write_text(json.dumps(uris, indent=2) + "\n", encoding="utf-8")
    return role_arn, bucket


def make_role(name: str) -> str:
    """A role that SageMaker may take; its ARN."""
    policy = json.dumps(TRUST)
    made = cloud.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=policy)
    arn: str = made["Role"]["Arn"]
    return arn


def make_bucket(name: str, region: str) -> None:
    """A bucket in a region. RuntimeError where S3 refuses its name."""
    options = {}
    if region != "us-east-1":  # S3 refuses this one as a constraint
        options["CreateBucketConfiguration"] = {"LocationConstraint": region}
    try:
        cloud.client("s3").create_bucket(Bucket=name, **options)
    except ClientError as error:
        raise RuntimeError(f"the bucket '{name}' cannot be made: {error}") from error


def put_image(repository: str, tag: str) -> None:
    """An image's manifest, without layers, in a repository that is there."""
    cloud.client("ecr").put_image(
        repositoryName=repository, imageTag=tag, imageManifest=json.dumps(EMPTY_MANIFEST)
    )
