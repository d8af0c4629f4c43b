"""Where on AWS we are, and clients that retry with growing pauses.

It reads no recipe. boto3 is loaded only when something is asked, so a dry run needs no credentials.
"""

import os
import re
from dataclasses import dataclass
from functools import cache

from launch.errors import LaunchError

RETRIES = {"mode": "standard", "max_attempts": 8}  # pauses grow to 20 s, with jitter
NO_ACCOUNT = "000000000000"  # stands for the account in a dry run without credentials


@dataclass(frozen=True)
class AwsLocation:
    """A region, its partition (aws, aws-cn, aws-us-gov…), the suffix of its hosts, and the account."""

    region: str
    partition: str
    dns_suffix: str
    account: str

    def arn(self, service: str, resource: str, region: bool = True) -> str:
        return f"arn:{self.partition}:{service}:{self.region if region else ''}:{self.account}:{resource}"

    def ecr_host(self) -> str:
        return f"{self.account}.dkr.ecr.{self.region}.{self.dns_suffix}"


def find_region(given: str = "") -> str:
    """The region as given, else AWS_REGION, AWS_DEFAULT_REGION, the profile's. LaunchError where none says one."""
    region = (
        given
        or os.environ.get("AWS_REGION")
        or os.environ.get("AWS_DEFAULT_REGION")
        or session().region_name
    )
    if not region:
        raise LaunchError(
            "no region is given; set `sagemaker: region:` in the recipe, or AWS_REGION, or a region for your AWS profile"
        )
    return region


def aws_location(region: str, account: str) -> AwsLocation:
    """The partition and the hosts' suffix of a region, as botocore knows them. LaunchError for a region of no partition."""
    from botocore.loaders import create_loader

    for partition in create_loader().load_data("partitions")["partitions"]:
        if region in partition["regions"] or re.match(partition["regionRegex"], region):
            return AwsLocation(region, partition["id"], partition["outputs"]["dnsSuffix"], account)
    raise LaunchError(
        f"'{region}' is not a region of AWS that this boto3 knows; regions look like eu-west-1"
    )


@cache
def session():
    """The one session of this process: credentials are found, and services' models loaded, once."""
    import boto3

    return boto3.Session()


def client(service: str, region: str, timeout_s: int = 60):
    """A boto3 client with retries and a bounded wait for each answer."""
    from botocore.config import Config

    config = Config(
        retries={**RETRIES}, connect_timeout=10, read_timeout=timeout_s, max_pool_connections=32
    )  # botocore writes into what it is given
    return session().client(service, region_name=region, config=config)


def account_of(region: str) -> str:
    """The account of the credentials in use. Raises botocore's errors where there are none."""
    return client("sts", region).get_caller_identity()["Account"]
