"""Every command of recipes/README.md, as it stands there, on local SageMaker: one shell for each story, in a copy of this checkout.

What stands in for a user's world: `.venv` is the environment of these tests; photos of three colours; recipes with a small network,
few epochs and one or two trainings a tuning job; a docker client whose push is a manifest in moto's ECR; moto, local SageMaker and
our own stand-in for CloudFormation as AWS; and `launch` looks twice a second at what runs.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import boto3
import pytest
import yaml

from conftest import REPOSITORY, SMALL, draw_channel, draw_photo
from local_test.cloud import environment_here
from registries import fake_docker
from sagemakers import local_sagemaker, moto
from stacks import CloudFormation

from aws import running_server
from launch.registry import DOCKER_MANIFEST

REGION, BUCKET = "us-east-1", "sagemaker-us-east-1-123456789012"
SMALLER = {name: SMALL[name] for name in ("model", "weights", "trainable", "image_size", "resize", "augmentation", "quantize")}
LAUNCH = re.compile(r"^(\.venv/bin/python -m launch .*)$", re.M)
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "sagemaker.amazonaws.com"}}]}
STORIES = {"107 yoga poses": "yoga_poses", "133 dog breeds": "dog_breeds"}
TEXT = (REPOSITORY / "recipes" / "README.md").read_text(encoding="utf-8")


def commands(story: str) -> str:
    """A story's code blocks, one after the other."""
    [section] = [part for part in TEXT.split("\n## ") if part.startswith(story)]
    return "".join(re.findall(r"^```sh\n(.*?)^```$", section, re.M | re.S))


def test_all_code_of_the_page_is_run():
    assert re.findall(r"^## (.*)$", TEXT, re.M) == list(STORIES)
    shown = "".join(commands(story) for story in STORIES).splitlines()
    assert len(shown) > 25 and TEXT.count("```") == 2 * len(re.findall(r"^```sh\n", TEXT, re.M))
    fences = re.sub(r"^```sh\n.*?^```$", "", TEXT, flags=re.M | re.S)
    assert not re.search(r"^(    |\t)\S", fences, re.M), "code outside the blocks that are run"


def shrink(path: Path) -> None:
    """A recipe with a small network that trains in seconds."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["hyperparameters"] |= {**SMALLER, "epochs": 2, "batch_size": 8} | ({"head": "16,8"} if document["hyperparameters"].get("head") else {})
    for number, search in enumerate(document["tuning"]):
        search["budgets"] = {"jobs": 2 if number == 0 else 1, "parallel": 2 if number == 0 else 1}
        search["ranges"] = {name: {"values": [1, 2]} if name == "epochs" else given for name, given in search["ranges"].items()}
        if "epochs" in search.get("hyperparameters", {}):
            search["hyperparameters"]["epochs"] = 1
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A committed copy of this checkout, with photos."""
    root = tmp_path_factory.mktemp("stories") / "checkout"
    shutil.copytree(REPOSITORY, root, ignore=shutil.ignore_patterns(".git", ".venv", "out", "photos", "__pycache__", ".pytest_cache", ".hypothesis"))
    for recipe in STORIES.values():
        shrink(root / "recipes" / f"{recipe}.yaml")
    draw_channel(root / "photos/yoga", 12)
    for number, (part, count) in enumerate({"train": 8, "valid": 3, "test": 3}.items()):
        draw_channel(root / "photos/dogs" / part, count, seed=100 * number)
    draw_photo(root / "photos/photo.jpg", (200, 40, 40), 7)
    (root / ".venv").symlink_to(sys.prefix)
    for words in (["init", "-q"], ["add", "-A", "--", ".", ":!.venv"], ["-c", "user.name=Test", "-c", "user.email=test@example.org", "commit", "-qm", "all"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    (root / ".git/info/exclude").write_text("/.venv\n")
    return root


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The environment of a user's shell, and boto3's clients in it."""
    folder = tmp_path_factory.mktemp("world")
    log = fake_docker(folder / "bin", DOCKER_MANIFEST)
    with ExitStack() as servers:
        servers.enter_context(pytest.MonkeyPatch.context()).setenv("AWS_REGION", REGION)  # of local SageMaker's own calls, such as those to the logs
        url = servers.enter_context(moto())
        cloud = servers.enter_context(local_sagemaker(folder / "state", url))
        environment = environment_here(AWS_ENDPOINT_URL=url, BASE_IMAGE="scratch", OMP_NUM_THREADS="1", PATH=f"{log.parent}:{os.environ['PATH']}",
                                       **{f"AWS_ENDPOINT_URL_{name}": cloud.url for name in ("SAGEMAKER", "SAGEMAKER_RUNTIME", "SERVICE_QUOTAS")})

        def client(service: str):
            where = environment.get(f"AWS_ENDPOINT_URL_{service.replace('-', '_').upper()}", url)
            return boto3.client(service, endpoint_url=where, region_name=REGION, aws_access_key_id="nobody", aws_secret_access_key="nobody")

        client("iam").create_role(RoleName="SlipwayRole", AssumeRolePolicyDocument=json.dumps(TRUST))
        client("s3").create_bucket(Bucket=BUCKET)
        formation = servers.enter_context(running_server(CloudFormation({**environment, "AWS_DEFAULT_REGION": REGION}, client("s3"), folder, servers)))
        environment["AWS_ENDPOINT_URL_CLOUDFORMATION"] = formation.url
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):  # the stories say these themselves
            environment.pop(name)
        yield environment, client, formation


def tell(story: str, checkout: Path, environment: dict[str, str]) -> str:
    """All commands of a story in one shell that ends at the first that fails; what they printed."""
    script = checkout.parent / "story.sh"
    script.write_text("set -ex\nPS4='+ ${SECONDS} s: '\n" + LAUNCH.sub(r"\1 --poll 0.5", commands(story)))
    done = subprocess.run(["bash", str(script)], cwd=checkout, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, timeout=400)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def nothing_left(client, recipe: str) -> None:
    pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"slipway/{recipe}/")
    assert [entry["Key"] for page in pages for entry in page.get("Contents", [])] == []
    sagemaker = client("sagemaker")
    assert [entry["EndpointStatus"] for entry in sagemaker.list_endpoints()["Endpoints"]] in ([], ["Deleting"])
    assert sagemaker.list_models()["Models"] == sagemaker.list_endpoint_configs()["EndpointConfigs"] == []


def test_yoga(checkout, world):
    environment, client, formation = world
    told = tell("107 yoga poses", checkout, environment)
    for number, count in ((1, 2), (2, 1), (3, 1), (4, 1)):
        assert re.search(rf"yoga-{number}-\S+: Completed; Completed={count}", told), told[-6000:]
    for line in (r"push: serve=123456789012\.dkr\.ecr\.us-east-1\.amazonaws\.com/slipway-serve@sha256:", r"check: \d+ looks, 0 failed",
                 r"report: \S+profiler-report.html", "epoch=2 train_loss=", "deploy: yoga-poses is InService", "photo +label +probability",
                 r'"label": ?"(blue|green|red)"', "api: http://127.0.0.1:", "delete: Stack slipway-yoga-poses", "delete: Endpoint yoga-poses"):
        assert re.search(line, told), line
    assert formation.made == ["slipway-yoga-poses"] and formation.stacks == {}
    nothing_left(client, "yoga-poses")


def test_dogs(checkout, world):
    environment, client, _ = world
    told = tell("133 dog breeds", checkout, environment)
    for line in (r"its split is kept", r"dog-breeds-\S+: Completed; Completed=2", "push: serve-gpu=", "deploy: dog-breeds is InService",
                 r"best of dog-breeds-\S+: dog-breeds-", "answers: s3://", "delete: Endpoint dog-breeds"):
        assert re.search(line, told), line
    nothing_left(client, "dog-breeds")
