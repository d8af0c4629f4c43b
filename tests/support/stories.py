"""Every command of recipes/README.md, as it stands there, on local SageMaker.

Each story runs in one shell, in a copy of this checkout. Stand-ins for a user's world:
- `.venv` is the environment of these tests, the photos have three colours
- the recipes have a small network, few epochs, and one or two trainings per tuning job
- a docker client's push is a manifest in moto's ECR
- AWS is moto, local SageMaker, and our own CloudFormation
- `launch` looks five times a second at a running job
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml

from launch.aws import AwsClient
from launch.registry import DOCKER_MANIFEST
from local_sagemaker.aws.account import TRUST
from local_sagemaker.aws.cloud import environment_here
from tests.support.aws import running_server
from tests.support.jobs import REPOSITORY, SMALL
from tests.support.registries import fake_docker
from tests.support.sagemakers import local_sagemaker, moto
from tests.support.stacks import CloudFormation

REGION = "us-east-1"
BUCKET = f"sagemaker-{REGION}-123456789012"
SMALLER = {
    name: SMALL[name]
    for name in (
        "model",
        "weights",
        "trainable",
        "image_size",
        "resize",
        "augmentation",
        "quantize",
    )
}
LAUNCH = re.compile(r"^(\.venv/bin/python -m launch .*)$", re.M)
STORIES = {"107 yoga poses": "yoga_poses", "133 dog breeds": "dog_breeds"}
TEXT = (REPOSITORY / "recipes" / "README.md").read_text(encoding="utf-8")


def commands(story: str) -> str:
    """A story's code blocks, one after the other."""
    [section] = [part for part in TEXT.split("\n## ") if part.startswith(story)]
    return "".join(re.findall(r"^```sh\n(.*?)^```$", section, re.M | re.S))


def shrink(path: Path) -> None:
    """A recipe with a small network that trains in seconds."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    hyperparameters = document["hyperparameters"]
    hyperparameters |= {**SMALLER, "epochs": 2, "batch_size": 8}
    if hyperparameters.get("head"):
        hyperparameters["head"] = "16,8"
    for number, search in enumerate(document["tuning"]):
        jobs = 1
        if number == 0:
            jobs = 2
        search["budgets"] = {"jobs": jobs, "parallel": jobs}
        if "epochs" in search["ranges"]:
            search["ranges"]["epochs"] = {"values": [1, 2]}
        if "epochs" in search.get("hyperparameters", {}):
            search["hyperparameters"]["epochs"] = 1
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def make_checkout(root: Path, recipe: str) -> Path:
    """A committed copy of this checkout, with that recipe made small and without photos."""
    shutil.copytree(
        REPOSITORY,
        root,
        ignore=shutil.ignore_patterns(
            ".git",
            ".venv*",
            "out",
            ".cache",
            "photos",
            "__pycache__",
            ".pytest_cache",
            ".hypothesis",
        ),
    )
    shrink(root / "recipes" / f"{recipe}.yaml")
    (root / ".venv").symlink_to(sys.prefix)
    for words in (
        ["init", "-q"],
        ["add", "-A", "--", ".", ":!.venv"],
        ["-c", "user.name=Test", "-c", "user.email=test@example.org", "commit", "-qm", "all"],
    ):
        subprocess.run(["git", *words], cwd=root, check=True)
    (root / ".git/info/exclude").write_text("/.venv\n")
    return root


@dataclass
class World:
    """environment: of a user's shell, with AWS's addresses. formation: our CloudFormation."""

    environment: dict[str, str]
    formation: CloudFormation

    def client(self, service: str) -> AwsClient:
        """boto3's client of a service there."""
        return client_of(self.environment, service)


def client_of(environment: dict[str, str], service: str) -> AwsClient:
    """boto3's client of a service at the address in an environment."""
    variable = f"AWS_ENDPOINT_URL_{service.replace('-', '_').upper()}"
    # boto3's stubs list the services by name; here the name is a variable.
    make_client: Any = boto3.client
    return make_client(
        service,
        endpoint_url=environment.get(variable, environment["AWS_ENDPOINT_URL"]),
        region_name=REGION,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """AWS on this machine, with the role and the bucket that the page asks for."""
    log = fake_docker(folder / "bin", DOCKER_MANIFEST)
    with ExitStack() as servers:
        url = servers.enter_context(moto())
        cloud = servers.enter_context(local_sagemaker(folder / "state", url))
        environment = environment_here(
            AWS_ENDPOINT_URL=url,
            BASE_IMAGE="scratch",
            OMP_NUM_THREADS="1",
            PATH=f"{log.parent}:{os.environ['PATH']}",
            **cloud.exports,
        )
        s3 = client_of(environment, "s3")
        client_of(environment, "iam").create_role(
            RoleName="SlipwayRole", AssumeRolePolicyDocument=json.dumps(TRUST)
        )
        s3.create_bucket(Bucket=BUCKET)
        functions = {**environment, "AWS_DEFAULT_REGION": REGION}
        formation = servers.enter_context(
            running_server(CloudFormation(functions, s3, folder, servers))
        )
        environment["AWS_ENDPOINT_URL_CLOUDFORMATION"] = formation.url
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):  # the stories say these themselves
            environment.pop(name)
        yield World(environment, formation)


def run_story(story: str, checkout: Path, environment: dict[str, str]) -> str:
    """All commands of a story in one shell that ends at the first that fails; what they printed."""
    script = checkout.parent / "story.sh"
    script.write_text(
        "set -ex\nPS4='+ ${SECONDS} s: '\n" + LAUNCH.sub(r"\1 --poll 0.2", commands(story))
    )
    done = subprocess.run(
        ["bash", str(script)],
        cwd=checkout,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=400,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def nothing_left(world: World, recipe: str) -> None:
    """AssertionError where the story left something in S3 or on SageMaker."""
    paginator = world.client("s3").get_paginator("list_objects_v2")
    left: list[str] = []
    for page in paginator.paginate(Bucket=BUCKET, Prefix=f"slipway/{recipe}/"):
        left += [entry["Key"] for entry in page.get("Contents", [])]
    assert left == []
    sagemaker = world.client("sagemaker")
    states = [entry["EndpointStatus"] for entry in sagemaker.list_endpoints()["Endpoints"]]
    assert states in ([], ["Deleting"])
    assert sagemaker.list_models()["Models"] == []
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
