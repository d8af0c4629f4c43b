"""The parts of `make e2e`: a step that fails ends it with its output; leftovers are found."""

import hashlib
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import boto3
import pytest

from launch.recipe import read_recipe, searches
from local_sagemaker.aws.cloud import answers, client, environment_here, program, registry
from local_test import leftovers
from local_test.e2e_steps import StepFailed, Steps
from local_test.e2e_story import recipe
from runtime import docker
from runtime.container_engine import LABEL
from runtime.errors import RunError
from runtime.ports import free_port
from tests.support.registries import aws, needed

pytestmark = pytest.mark.slow


def test_a_step_that_fails_ends_with_its_output(tmp_path, capsys):
    steps = Steps(tmp_path / "recipe.yaml", tmp_path)
    assert steps.run("greet", sys.executable, "-c", "print('hello')", see=("^hello$",)) == "hello\n"
    assert capsys.readouterr().out.startswith("e2e:  1 greet")
    assert steps.count == 1
    with pytest.raises(
        StepFailed, match=r"(?s)too bad.*step 2, break, ended with code 3: python -c"
    ):
        steps.run("break", sys.executable, "-c", "import sys; print('too bad'); sys.exit(3)")
    with pytest.raises(StepFailed, match="step 3, greet, did not say 'goodbye'"):
        steps.run("greet", sys.executable, "-c", "print('hello')", see=("hello", "goodbye"))


def test_the_recipe_is_one_that_the_launcher_takes(tmp_path):
    import yaml

    path = tmp_path / "recipe.yaml"
    path.write_text(
        yaml.safe_dump(recipe(tmp_path / "images.json", tmp_path / "prepared"), sort_keys=False)
    )
    read = read_recipe(path)
    assert [(search.name, search.parents) for search in searches(read)] == [
        ("e2e-1", ()),
        ("e2e-2", ("e2e-1",)),
    ]
    assert read.sagemaker.training.spot
    assert read.sagemaker.endpoint.kind == "real-time"


def test_the_reaper_of_the_run_itself_is_nothing_left():
    """In a process of its own: it has a reaper from the first that it starts."""
    script = (
        "from local_test import leftovers; from runtime import reaper; reaper.make_ready();"
        "print(leftovers.processes('E2E_RUN=here-2'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment_here(E2E_RUN="here-2"),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_processes_that_carry_the_mark_are_found():
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        env=environment_here(E2E_RUN="here-1"),
    ) as process:
        found = leftovers.processes("E2E_RUN=here-1")
        process.kill()
    assert len(found) == 1
    assert found[0].startswith(f"{process.pid}: ")
    assert "time.sleep" in found[0]
    # A mark that only begins alike is another run's.
    assert leftovers.processes("E2E_RUN=here-1") == [] == leftovers.processes("E2E_RUN=here")


def test_what_is_left_in_aws_is_found(monkeypatch, tmp_path):
    # AWS forgets a deleted thing only after a while, moto at once.
    monkeypatch.setattr(leftovers, "PATIENCE_S", 0)
    with aws(monkeypatch):
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        boto3.client("s3").create_bucket(
            Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        assert not any(leftovers.in_aws(client, "photos").values())
        boto3.client("s3").put_object(Bucket="photos", Key="a/b.jpg", Body=b"x")
        boto3.client("sagemaker").create_model(
            ModelName="model",
            ExecutionRoleArn="arn:aws:iam::123456789012:role/SlipwayRole",
            PrimaryContainer={"Image": "slipway-serve"},
        )
        found = leftovers.in_aws(client, "photos")
    assert {kind: names for kind, names in found.items() if names} == {
        "objects": ["a/b.jpg"],
        "models": ["model"],
    }
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/file").write_text("x")
    assert leftovers.files(tmp_path) == ["sub/file"]
    assert leftovers.files(tmp_path / "none") == []


@pytest.mark.docker
def test_what_is_left_in_the_engine_is_found(tmp_path):
    needed(
        docker.answers(),
        "no Docker engine answers `docker info`: what is left in it is not counted",
    )
    name = f"slipway-left-{os.getpid()}"
    registry = f"{name}.example.org"
    subprocess.run(
        ["docker", "import", "-", f"{registry}/slipway-train:1"],
        input=bytes(10240),
        check=True,
        capture_output=True,
    )  # an empty tar file
    subprocess.run(
        ["docker", "network", "create", "--label", f"{LABEL}={tmp_path}", name],
        check=True,
        capture_output=True,
    )
    try:
        assert leftovers.in_engine(tmp_path, registry) == {
            "containers": [],
            "images": [f"{registry}/slipway-train:1"],
            "networks": [name],
        }
        # Another run's leftovers are none of this one.
        assert not any(leftovers.in_engine(tmp_path / "other", "other.example.org").values())
    finally:
        subprocess.run(
            ["docker", "image", "rm", f"{registry}/slipway-train:1"],
            check=True,
            capture_output=True,
        )
        subprocess.run(["docker", "network", "rm", name], check=True, capture_output=True)


def test_a_server_that_does_not_start_says_why(tmp_path):
    with (
        pytest.raises(RunError, match="(?s)did not start: .*no such thing"),
        program(
            [sys.executable, "-c", "raise SystemExit('no such thing')"],
            tmp_path / "log",
            dict(os.environ),
            lambda: False,
        ),
    ):
        raise AssertionError("it did not start")
    missing = program(["no-such-program"], tmp_path / "log", dict(os.environ), lambda: False)
    with pytest.raises(RunError, match="'no-such-program' is not installed"), missing:
        raise AssertionError("it did not start")
    assert not answers(f"http://127.0.0.1:{free_port()}")
    assert Path(tmp_path / "log").exists()


@pytest.mark.parametrize("kept, status", [(True, 200), (False, 404)])
def test_what_is_kept_of_a_registry_need_not_be_sent_again(tmp_path, kept, status):
    needed(
        shutil.which("docker-registry"),
        "docker-registry is not installed: what a registry keeps is not tested "
        "(apt-get install docker-registry)",
    )
    layer = b"a layer"
    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"

    def asked(method: str, url: str, body: bytes | None = None, **headers: str):
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, body, headers, method=method), timeout=10
            ) as answer:
                return answer.status, answer.headers["Location"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, None

    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        with registry(folder, dict(os.environ), tmp_path / "kept" if kept else None) as host:
            if number == 0:
                _, where = asked("POST", f"http://{host}/v2/slipway-train/blobs/uploads/", b"")
                made = asked(
                    "PUT",
                    f"{where}&digest={urllib.parse.quote(digest)}",
                    layer,
                    **{"Content-Type": "application/octet-stream"},
                )
                assert made[0] == 201
            else:
                assert asked("HEAD", f"http://{host}/v2/slipway-train/blobs/{digest}")[0] == status


def test_no_credentials_of_this_machine_are_used(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "mine")
    environment = environment_here()
    assert "mine" not in environment.values()
    assert environment["AWS_EC2_METADATA_DISABLED"] == "true"
