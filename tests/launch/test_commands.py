"""The commands as a user runs them: dry runs, and a whole story against moto's AWS."""

import json
import subprocess
import sys

import pytest

from launch.__main__ import COMMANDS, main
from launch.context import service_model
from launch.cost import read_prices
from launch.registry import DOCKER_MANIFEST, OCI_MANIFEST
from launch.upload import Channel, files_of, upload
from local_sagemaker.aws.account import TRUST
from tests.support.jobs import REPOSITORY, draw_channel
from tests.support.launching import URI
from tests.support.registries import aws, no_credentials

pytestmark = pytest.mark.slow

RECIPES = sorted((REPOSITORY / "recipes").glob("*.yaml"))
ARGUMENTS = {
    "invoke": ["{photos}"],
    "batch": ["{photos}"],
    "prepare": ["--photos", "{photos}"],
}
FIRST = {
    "check": "GetCallerIdentity",
    "train": "CreateTrainingJob",
    "tune": "CreateHyperParameterTuningJob",
    "debug": "CreateTrainingJob",
    "logs": "DescribeLogStreams",
    "stop": "StopTrainingJob",
    "report": "GetObject",
    "register": "CreateModelPackageGroup",
    "approve": "UpdateModelPackage",
    "packages": "ListModelPackages",
    "deploy": "CreateModel",
    "api": "PutObject",
    "batch": "PutObject",
    "prepare": "PutObject",
}


@pytest.fixture
def photos(tmp_path):
    return draw_channel(tmp_path / "photos", 1)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
@pytest.mark.parametrize("command", [*COMMANDS, "cost"])
def test_dry_runs_without_credentials(command, path, photos, tmp_path, monkeypatch, capsys):
    no_credentials(monkeypatch)
    words = [text.format(photos=photos) for text in ARGUMENTS.get(command, [])]
    assert main([command, str(path), *words, "--dry-run", "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr()
    assert not (tmp_path / "out").exists(), "a dry run leaves nothing"
    if command == "cost":
        assert "training, at most" in shown.out
        return
    calls = json.loads(shown.out)
    assert all(
        call["operation"] in service_model(call["service"]).operation_names for call in calls
    )
    if command in FIRST:
        assert calls[0]["operation"] == FIRST[command]


@pytest.fixture
def account(monkeypatch, tmp_path):
    """moto's server, empty; in this folder a recipe whose photos have three colours."""
    with aws(monkeypatch):
        monkeypatch.chdir(tmp_path)
        draw_channel(tmp_path / "data/train", 2)
        draw_channel(tmp_path / "data/test", 1)
        (tmp_path / "images.json").write_text(
            json.dumps({name: URI.format(name) for name in ("train", "serve")})
        )
        (tmp_path / "recipe.yaml").write_text(
            "name: colours\nhyperparameters: {model: resnet18}\n"
            "sagemaker:\n  region: eu-west-1\n  bucket: photos\n  images: images.json\n"
            "  channels: {train: data/train, test: data/test}\n"
            "  training: {instance_type: ml.m5.large}\n  endpoint: {kind: serverless}\n"
        )
        yield tmp_path


def boto(service: str):
    from launch.aws import client

    return client(service, "eu-west-1")


def run(capsys, *words: str) -> tuple[int, str]:
    # moto's jobs end at once: nothing is waited for.
    code = main([words[0], "recipe.yaml", *words[1:], "--out", "out", "--poll", "0"])
    shown = capsys.readouterr()
    return code, shown.out + shown.err


def make_bucket() -> None:
    boto("s3").create_bucket(
        Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )


def test_upload_sends_only_what_changed(account, capsys):
    code, printed = run(capsys, "upload")
    assert code == 1
    assert "the bucket 'photos' does not exist; aws s3 mb" in printed
    make_bucket()
    code, printed = run(capsys, "upload")
    assert code == 0
    assert "upload: train: 6 new or changed" in printed
    assert "s3://photos/slipway/colours/data/train/ has 6 files" in printed
    assert (
        "upload: train: 0 new or changed (0.0 MB), 6 as they are, 0 to remove"
        in run(capsys, "upload")[1]
    )
    (account / "data/train/blue/blue 0.jpg").write_bytes(b"another photo")
    (account / "data/train/blue/blue 1.jpg").unlink()
    # Hidden files are no photos.
    (account / "data/train/.hidden").write_text("not a photo")
    assert (
        "upload: train: 1 new or changed (0.0 MB), 4 as they are, 1 to remove"
        in run(capsys, "upload")[1]
    )
    keys = {
        entry["Key"].removeprefix("slipway/colours/data/")
        for entry in boto("s3").list_objects_v2(Bucket="photos")["Contents"]
    }
    assert "train/blue/blue 0.jpg" in keys
    assert "train/blue/blue 1.jpg" not in keys
    assert "train.json" in keys
    # Five and three photos, and a manifest for each channel.
    assert len(keys) == 5 + 3 + 2
    # Behind the back of all uploads: the checksum shows it.
    boto("s3").put_object(
        Bucket="photos",
        Key="slipway/colours/data/train/blue/blue 0.jpg",
        Body=b"changed by someone",
    )
    assert "upload: train: 1 new or changed" in run(capsys, "upload")[1]
    # What no upload has put there must not be removed.
    boto("s3").put_object(Bucket="photos", Key="slipway/colours/data/train/foreign.jpg", Body=b"x")
    code, printed = run(capsys, "upload")
    assert code == 1
    assert "1 object(s) in this channel that no upload put there, such as 'foreign.jpg'" in printed


def test_an_interrupted_upload_goes_on(account, monkeypatch):
    make_bucket()
    channel = Channel(boto("s3"), "photos", "data/train/")
    files = files_of(account / "data/train")
    send = channel.put

    def interrupted(file, progress):
        if file is files[-1]:
            raise KeyboardInterrupt
        return send(file)

    monkeypatch.setattr(channel, "put", interrupted)
    with pytest.raises(KeyboardInterrupt):
        upload(channel, files, lambda line: None, "train")
    monkeypatch.setattr(channel, "put", send)
    plan = upload(channel, files, lambda line: None, "train")
    assert files[-1] in plan.put
    assert len(plan.put) + len(plan.same) == len(files)
    assert plan.delete == []
    assert upload(channel, files, lambda line: None, "train").put == []


def test_check_says_what_is_missing(account, capsys):
    code, printed = run(capsys, "check")
    assert code == 1
    for line in (
        "failed   the role 'SlipwayRole' does not exist",
        "failed   the bucket 'photos' does not exist; aws s3 mb s3://photos --region eu-west-1",
        "failed   image train: ",
        "is empty; run `python -m launch upload recipe.yaml`",
        "ok       the recipe makes valid requests",
        "ok       you are arn:aws:",
    ):
        assert line in printed, printed
    make_bucket()
    run(capsys, "upload")
    boto("iam").create_role(RoleName="SlipwayRole", AssumeRolePolicyDocument=json.dumps(TRUST))
    images = {}
    # One as `make push` leaves it, one as some engines push it.
    kinds = {"train": DOCKER_MANIFEST, "serve": OCI_MANIFEST}
    for name, kind in kinds.items():
        boto("ecr").create_repository(repositoryName=f"slipway-{name}")
        put = boto("ecr").put_image(
            repositoryName=f"slipway-{name}",
            imageTag="1",
            imageManifest=json.dumps(
                {"schemaVersion": 2, "mediaType": kind, "config": {}, "layers": []}
            ),
        )
        digest = put["image"]["imageId"]["imageDigest"]
        images[name] = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/slipway-{name}@{digest}"
    (account / "images.json").write_text(json.dumps(images))
    printed = run(capsys, "check")[1]
    for line in (
        "ok       role SlipwayRole",
        "ok       bucket photos of account 123456789012 in eu-west-1",
        "ok       image train: slipway-train, application/vnd.docker",
        "failed   image serve: slipway-serve, application/vnd.oci.image.manifest.v1+json, "
        "which SageMaker refuses",
        "ok       channel train: ",
    ):
        assert line in printed, printed


def test_from_training_to_the_endpoint_and_away_against_moto(account, capsys):
    make_bucket()
    assert "no training job was started here" in run(capsys, "deploy")[1]
    code, printed = run(capsys, "train")
    assert code == 0
    assert "Completed" in printed
    assert "training colours-" in run(capsys, "status")[1]
    code, printed = run(capsys, "deploy")
    assert code == 0, printed
    assert "deploy: colours is InService" in printed, printed
    assert "endpoint colours: InService" in run(capsys, "status")[1]
    code, printed = run(capsys, "delete", "--yes", "--data")
    assert code == 0
    assert "delete: Endpoint colours" in printed
    assert (
        boto("sagemaker").list_endpoints()["Endpoints"]
        == boto("sagemaker").list_models()["Models"]
        == []
    )
    assert "delete: nothing of colours is known here" in run(capsys, "delete", "--yes")[1]


def test_the_launcher_as_a_program(account):
    done = subprocess.run(
        [sys.executable, "-m", "launch", "train", str(account / "recipe.yaml"), "--dry-run"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert (
        json.loads(done.stdout)[0]["request"]["RoleArn"]
        == "arn:aws:iam::123456789012:role/SlipwayRole"
    )


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(f"    {command} " in shown for command in [*COMMANDS, "cost"])


def test_the_cost_needs_no_credentials_and_takes_other_prices(tmp_path, monkeypatch, capsys):
    no_credentials(monkeypatch)
    table = tmp_path / "prices.yaml"
    # Ten dollars an hour: the sum can be checked by eye.
    table.write_text(
        "as_of: 2030\nregion: eu-west-1\ninstances: {ml.m5.xlarge: 10, ml.c6i.2xlarge: 1}\n"
        "spot_share: 1\nvolume_gb_month: 0\nserverless_gb_s: 0\nprovisioned_gb_s: 0\n"
    )
    assert main(["cost", str(REPOSITORY / "recipes/demo.yaml"), "--prices", str(table)]) == 0
    shown = capsys.readouterr().out
    assert "training, at most                       10.00 USD  3600 s on 1 x ml.m5.xlarge" in shown
    assert "prices of eu-west-1 (2030)" in shown
    assert "example" in read_prices().as_of, "until somebody has checked them"
    assert main(["cost", str(REPOSITORY / "recipes/yoga_poses.yaml"), "--prices", str(table)]) == 1
    assert "the price table has no ml.g5.xlarge; add it" in capsys.readouterr().err
    table.write_text("instances: 7")
    assert main(["cost", str(REPOSITORY / "recipes/demo.yaml"), "--prices", str(table)]) == 1
    assert "is not a price table" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["check", "train", "status"])
def test_without_credentials_one_sentence_says_so(command, tmp_path, monkeypatch, capsys):
    no_credentials(monkeypatch)
    assert main([command, str(REPOSITORY / "recipes/demo.yaml"), "--out", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("launch: failed: there are no usable AWS credentials")
    assert shown.err.count("\n") == 1
