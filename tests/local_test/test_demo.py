"""The demo: from photos to an endpoint that answers as training measured, in both engines."""

import re
import subprocess
import sys

import pytest
import yaml

from runtime.opt_ml import lay_out
from tests.support.jobs import REPOSITORY, SMALL, draw_channel


def demo(tmp_path, engine: str, **hyperparameters) -> subprocess.CompletedProcess:
    (tmp_path / "recipe.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "small",
                "prepare": {"split": "0.6,0.2,0.2"},
                "hyperparameters": {**SMALL, **hyperparameters},
            }
        )
    )
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "local_test.demo",
            "--data",
            tmp_path / "photos",
            "--out",
            tmp_path / "out",
            "--recipe",
            tmp_path / "recipe.yaml",
            "--engine",
            engine,
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.training
@pytest.mark.parametrize(
    "engine", ["process", pytest.param("docker", marks=[pytest.mark.docker, pytest.mark.verify])]
)
def test_the_endpoint_answers_as_training_measured(tmp_path, engine, request):
    if engine == "docker":
        request.getfixturevalue("images")
    draw_channel(tmp_path / "photos", 15)
    done = demo(tmp_path, engine, epochs=10)
    last = done.stdout.strip().splitlines()[-1]
    found = re.fullmatch(
        r"demo: photos=9 trained_accuracy=(\S+) served_accuracy=(\S+) seconds=\d+", last
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert found, done.stdout + done.stderr
    # The very same figure from training and from the endpoint.
    assert found[1] == found[2], done.stdout + done.stderr
    assert (
        "demo: running with "
        + ("the images in Docker" if engine == "docker" else "plain processes")
        in done.stdout
    )
    assert (tmp_path / "out/model.tar.gz").is_file()
    assert (tmp_path / "out/ml/output/data/report.html").is_file()


@pytest.mark.slow
def test_too_few_photos_to_test_on_are_told_before_training(tmp_path):
    for part in ("train", "valid"):
        draw_channel(tmp_path / "photos" / part, 2)
    earlier = tmp_path / "out/ml/model/model.json"
    earlier.parent.mkdir(parents=True)
    # What is there already must not be lost.
    earlier.write_text("of an earlier demo")
    done = demo(tmp_path, "process")
    assert done.returncode == 1
    assert "leaves no photos to test on" in done.stderr
    assert earlier.read_text() == "of an earlier demo"
    assert not (tmp_path / "out/prepared").exists()
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_training_that_fails_ends_the_demo_with_its_reason(tmp_path):
    draw_channel(tmp_path / "photos", 10)
    done = demo(tmp_path, "process", lr="abc")
    assert done.returncode == 1
    assert "hyperparameter lr must be a number; found 'abc'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_job_is_laid_out_as_sagemaker_does(tmp_path):
    photos = draw_channel(tmp_path / "photos", 2)
    lay_out(
        tmp_path / "ml", {"lr": 0.1, "head": [2048, 516], "early_stopping": True}, {"train": photos}
    )
    # A model of an earlier job.
    (tmp_path / "ml/model/old.bin").write_text("x")
    lay_out(
        tmp_path / "ml", {"lr": 0.1, "head": [2048, 516], "early_stopping": True}, {"train": photos}
    )
    config = tmp_path / "ml/input/config"
    assert yaml.safe_load((config / "hyperparameters.json").read_text()) == {
        "lr": "0.1",
        "head": "2048,516",
        "early_stopping": "true",
    }
    assert {path.name for path in config.iterdir()} == {
        "hyperparameters.json",
        "inputdataconfig.json",
        "resourceconfig.json",
    }
    assert len(list((tmp_path / "ml/input/data/train").glob("*/*.jpg"))) == 6
    assert not list((tmp_path / "ml/model").iterdir())
