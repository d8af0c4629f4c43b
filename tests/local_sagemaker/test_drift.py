"""`launch drift` over what an endpoint of local SageMaker captured: nothing, then a darker room."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from runtime.opt_ml import pack_model
from tests.support.jobs import REPOSITORY, draw_channel, make_job, train_job
from tests.support.sagemakers import BUCKET, SERVE_IMAGE, Cloud, local_sagemaker, moto

pytestmark = pytest.mark.verify

PER_CLASS = 14  # 42 photos; a test takes 30


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """An endpoint that captures all, made by `launch deploy`: the recipe's folder and the cloud."""
    folder = tmp_path_factory.mktemp("drift")
    job = make_job(folder / "ml", {"train": 16, "validation": PER_CLASS}, epochs=14)
    train_job(job)
    pack_model(job.root, folder / "model.tar.gz")
    endpoint = {"capture_percent": 100, "instance_type": "ml.m5.large"}
    recipe = {
        "name": "colours",
        "hyperparameters": {"model": "resnet18"},
        "sagemaker": {
            "bucket": BUCKET,
            "region": "eu-west-1",
            "image_uris": {"serve": SERVE_IMAGE},
            "endpoint": endpoint,
        },
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    with moto() as url, local_sagemaker(tmp_path_factory.mktemp("state"), url) as cloud:
        launch(cloud, folder, "deploy", "--model", str(folder / "model.tar.gz"))
        yield folder, cloud


def launch(cloud: Cloud, folder: Path, command: str, *words: str, code: int = 0) -> str:
    """A command of `launch` on the recipe; what it printed, or its sentence where it failed."""
    environment = {**os.environ, **cloud.exports, "AWS_ENDPOINT_URL_S3": cloud.moto_url}
    for service in ("CLOUDWATCH", "LOGS", "STS", "IAM", "ECR"):
        environment[f"AWS_ENDPOINT_URL_{service}"] = cloud.moto_url
    done = subprocess.run(
        [sys.executable, "-m", "launch", command, str(folder / "recipe.yaml"), *words]
        + ["--out", str(folder / "out"), "--poll", "0.2"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code == 1 else done.stdout


def darker(folder: Path, to: Path) -> Path:
    """The photos of a folder at 0.6 of their brightness."""
    for path in folder.rglob("*.jpg"):
        target = to / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as photo:
            photo.point(lambda value: value * 0.6).save(target, quality=92)
    return to


def test_drift_is_found_and_nothing_is_cried_for_nothing(story):
    folder, cloud = story
    none = launch(cloud, folder, "drift", code=1)
    assert "0 captured photos lie below s3://photos/slipway/colours/captured/colours/" in none
    photos = draw_channel(folder / "photos", PER_CLASS, seed=7000)
    launch(cloud, folder, "invoke", str(photos))
    found = json.loads(launch(cloud, folder, "drift", "--json"))
    assert found["photos"] == 3 * PER_CLASS
    assert found["moved"] == []
    assert {one["name"] for one in found["compared"]} >= {"brightness", "features", "classes"}
    launch(cloud, folder, "invoke", str(darker(photos, folder / "dark")))
    newest = ("--newest", str(3 * PER_CLASS))
    printed = launch(cloud, folder, "drift", *newest, code=3)
    assert "moved  brightness" in printed
    page = folder / "out/launch/colours/drift/report.html"
    assert f"drift: {page}" in printed
    assert "have moved" in page.read_text()
