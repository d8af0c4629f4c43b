"""Local SageMaker with a Docker engine: a training of two hosts, an endpoint, no leftovers."""

import json
import subprocess

import pytest

from runtime.container_engine import DockerEngine
from tests.support.jobs import COLOURS, draw_channel
from tests.support.sagemakers import (
    BUCKET,
    ROLE,
    SERVE_IMAGE,
    ended,
    local_sagemaker,
    moto,
    put_folder,
    training_request,
    until,
)
from tests.support.servers import photo

pytestmark = pytest.mark.docker
SECRET = "the user's own"
# What it prints of the server, and what it leaves in its tree.
HOSTILE = """
python3 - <<'END'
import json, os, urllib.error, urllib.request
print("key", os.environ["AWS_ACCESS_KEY_ID"])
try:
    urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL_SAGEMAKER"], timeout=20)
except urllib.error.HTTPError as error:
    print("answer", error.code, json.load(error)["__type"])
END
cd /opt/ml
ln -s {home}/secret output/failure
rm -r output/data; ln -s {home} output/data
echo w > model/w; ln -s {home}/secret model/secret
echo c > checkpoints/c; ln -s {home}/secret checkpoints/secret
"""


def test_a_training_and_an_endpoint_in_containers(tmp_path, images):
    with moto() as url, local_sagemaker(tmp_path / "state", url, engine="docker") as cloud:
        put_folder(cloud.client("s3"), draw_channel(tmp_path / "photos", 4), "train")
        sagemaker, runtime = cloud.client("sagemaker"), cloud.client("sagemaker-runtime")
        request = training_request("contained", epochs=1)
        request["ResourceConfig"]["InstanceCount"] = 2
        sagemaker.create_training_job(**request)
        until(lambda: len(_labelled("ps", tmp_path)) == 2)
        assert len(_labelled("network", "ls", tmp_path)) == 1
        job = ended(sagemaker, "contained", 300)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        sagemaker.create_model(
            ModelName="contained",
            ExecutionRoleArn=ROLE,
            PrimaryContainer={
                "Image": SERVE_IMAGE,
                "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"],
            },
        )
        variant = {
            "VariantName": "all",
            "ModelName": "contained",
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
        }
        sagemaker.create_endpoint_config(
            EndpointConfigName="contained", ProductionVariants=[variant]
        )
        sagemaker.create_endpoint(EndpointName="contained", EndpointConfigName="contained")
        until(
            lambda: (
                sagemaker.describe_endpoint(EndpointName="contained")["EndpointStatus"]
                != "Creating"
            )
        )
        answer = runtime.invoke_endpoint(
            EndpointName="contained", Body=photo(), ContentType="image/jpeg"
        )
        assert json.loads(answer["Body"].read())["predictions"][0]["label"] in COLOURS
        # The training's containers are gone, the endpoint's is there.
        assert len(_labelled("ps", tmp_path)) == 1
    # The server has ended, and has taken all along.
    for kind in (("ps", "--all"), ("network", "ls")):
        assert _labelled(*kind, tmp_path) == []
    assert not any((tmp_path / "state" / "work").rglob("*.*"))
    assert BUCKET in job["ModelArtifacts"]["S3ModelArtifacts"]


def test_a_container_has_its_own_key_and_its_links_lead_nowhere(tmp_path, images):
    home = tmp_path / "home"
    home.mkdir()
    (home / "secret").write_text(SECRET)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "run.sh").write_text(HOSTILE.format(home=home))
    request = training_request("hostile")
    request["AlgorithmSpecification"] |= {
        "TrainingImage": SERVE_IMAGE,  # any image with a shell and a Python
        "ContainerEntrypoint": ["sh"],
        "ContainerArguments": ["/opt/ml/input/data/train/run.sh"],
    }
    source = request["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    source["S3Uri"] = f"file://{tmp_path}/code"
    request["OutputDataConfig"] = {
        "S3OutputPath": f"file://{tmp_path}/out",
        "CompressionType": "NONE",
    }
    request["CheckpointConfig"] = {"S3Uri": f"file://{tmp_path}/checkpoints"}
    with moto() as url, local_sagemaker(tmp_path / "state", url, engine="docker") as cloud:
        sagemaker = cloud.client("sagemaker")
        sagemaker.create_training_job(**request)
        job = ended(sagemaker, "hostile")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    [log] = (tmp_path / "state" / "logs" / "TrainingJobs" / "hostile").iterdir()
    printed = log.read_text()
    # The server is reached by the gateway's address, which is no foreign Host to it.
    assert "answer 403 MissingAuthenticationToken" in printed
    assert "key LOCAL" in printed and cloud.key[0] not in printed
    kept = [path for name in ("out", "checkpoints") for path in (tmp_path / name).rglob("*")]
    assert sorted(path.read_text() for path in kept if path.is_file()) == ["c\n", "w\n"]
    assert [path.name for path in home.iterdir()] == ["secret"]


def test_what_a_killed_servers_search_left_running_is_removed(tmp_path, images):
    tree, other = (
        tmp_path / "state/work/hyper-parameter-tuning-job/search/out/trials/search/one",
        # A container of somebody else, which must stay.
        tmp_path / "elsewhere",
    )
    started = []
    try:
        for folder in (tree, other):
            folder.mkdir(parents=True)
            command = [
                "docker",
                "run",
                "--detach",
                "--rm",
                "--entrypoint",
                "sleep",
                "--volume",
                f"{folder}:/opt/ml",
                images["serve"],
                # It ends by itself, should the test be killed.
                "60",
            ]
            started.append(
                subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
            )
        DockerEngine(tmp_path / "state").sweep()
        running = subprocess.run(
            ["docker", "ps", "--all", "--quiet", "--no-trunc"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        assert [container in running for container in started] == [False, True]
    finally:
        subprocess.run(["docker", "rm", "--force", *started], capture_output=True, check=False)


def _labelled(*kind_and_folder: object) -> list[str]:
    *kind, folder = kind_and_folder
    label = f"label=slipway.local-sagemaker={folder}/state"
    return subprocess.run(
        ["docker", *map(str, kind), "--quiet", "--filter", label],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
