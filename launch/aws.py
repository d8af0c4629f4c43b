"""The AWS account and region in use, and clients that retry with growing pauses.

It reads no recipe. boto3 is loaded only when AWS is asked, so a dry run needs no credentials.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from launch.errors import LaunchError

if TYPE_CHECKING:
    import boto3

# boto3 makes the methods of its clients at run time, so no type describes them.
AwsClient = Any
# JSON objects of AWS's APIs. botocore checks a request by its own model of the service.
Request = dict[str, Any]
Response = dict[str, Any]

# Pauses between attempts grow to 20 s, with jitter.
RETRIES: dict[str, Any] = {"mode": "standard", "max_attempts": 8}
# Stands for the account in a dry run without credentials.
NO_ACCOUNT = "000000000000"


@dataclass(frozen=True)
class AwsLocation:
    """A region, its partition (aws, aws-cn, aws-us-gov…), its hosts' suffix, and the account."""

    region: str
    partition: str
    dns_suffix: str
    account: str

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource of this region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def global_arn(self, service: str, resource: str) -> str:
        """The ARN of a resource that belongs to no region, such as a role."""
        return f"arn:{self.partition}:{service}::{self.account}:{resource}"

    def ecr_host(self) -> str:
        return f"{self.account}.dkr.ecr.{self.region}.{self.dns_suffix}"


def find_region(given: str = "") -> str:
    """The given region, else AWS_REGION, AWS_DEFAULT_REGION, the profile's. Else LaunchError."""
    region = (
        given
        or os.environ.get("AWS_REGION")
        or os.environ.get("AWS_DEFAULT_REGION")
        or session().region_name
    )
    if not region:
        raise LaunchError(
            "no region is given; set `sagemaker: region:` in the recipe, or AWS_REGION, "
            "or a region for your AWS profile"
        )
    return region


def aws_location(region: str, account: str) -> AwsLocation:
    """A region with its partition, from botocore's own list. LaunchError for an unknown region."""
    from botocore.loaders import create_loader

    for partition in create_loader().load_data("partitions")["partitions"]:
        # The pattern also knows regions that are newer than this boto3.
        if region in partition["regions"] or re.match(partition["regionRegex"], region):
            return AwsLocation(region, partition["id"], partition["outputs"]["dnsSuffix"], account)
    raise LaunchError(
        f"'{region}' is not a region of AWS that this boto3 knows; regions look like eu-west-1"
    )


@cache
def session() -> boto3.Session:
    """The session of this process: it finds credentials and loads service models only once."""
    import boto3

    return boto3.Session()


def client(service: str, region: str, timeout_s: int = 60) -> AwsClient:
    """A boto3 client with retries and a bounded wait for each answer."""
    from botocore.config import Config

    # A copy, because botocore writes into the dictionary.
    retries: Any = dict(RETRIES)
    config = Config(
        retries=retries,
        connect_timeout=10,
        read_timeout=timeout_s,
        max_pool_connections=32,
    )
    # boto3's stubs list the services by name; here the name is a variable.
    clients: Any = session()
    return clients.client(service, region_name=region, config=config)


def account_of(region: str) -> str:
    """The account of the credentials in use. Raises botocore's errors without credentials."""
    return str(client("sts", region).get_caller_identity()["Account"])
