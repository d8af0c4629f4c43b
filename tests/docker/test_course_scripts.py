"""Scripts in the style of SageMaker's courses: trained by slipway-train, served with their code."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import torchvision

from runtime.opt_ml import lay_out
from tests.support.diagnose_command import command
from tests.support.image_jobs import docker
from tests.support.jobs import draw_channel
from tests.support.mms_containers import ask, container, model, photo, ready
from tests.support.user_models import PROGRAM
from tests.support.user_scripts import DOGS, POSES, POSES_INFERENCE

pytestmark = [pytest.mark.docker, pytest.mark.verify]
COLOURS = ["blue", "green", "red"]


def script_job(root: Path, script: str, photos: int, **hyperparameters: object) -> Path:
    """A job's tree as SageMaker makes it of the SDK's request, with the debugger's hook."""
    settings = {
        "sagemaker_program": "train_model.py",
        "sagemaker_submit_directory": "/opt/ml/code",
        **hyperparameters,
    }
    channels = {
        name: draw_channel(root / "photos" / name, photos, seed=number * 100)
        for number, name in enumerate(("train", "test"))
    }
    lay_out(root / "ml", settings, channels)
    code = root / "ml" / "code"
    code.mkdir(exist_ok=True)
    (code / "train_model.py").write_text(script)
    hook = {"S3OutputPath": "s3://bucket/debug", "LocalPath": "/opt/ml/output/tensors"}
    hook["HookParameters"] = {"save_interval": "1"}  # type: ignore[assignment]  # JSON
    hook["CollectionConfigurations"] = [{"CollectionName": "losses"}]  # type: ignore[assignment]
    (root / "ml/input/config/debughookconfig.json").write_text(json.dumps(hook))
    return root / "ml"


def train(image: str, root: Path, *options: str) -> str:
    done = docker("run", "--rm", *options, "-v", f"{root}:/opt/ml", image, "train", timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_script_that_registers_its_model_alone_runs_whole(images, tmp_path, capfd):
    root = script_job(tmp_path, POSES, 20, epochs=25)
    assert "Test set: Accuracy: 1.0000" in train(images["train"], root)
    # The script registers no loss. Its loss is a module, which the image registers at its first
    # call, so that a rule on losses can judge.
    documented = ("--defaults", "sagemaker")
    rule = ("--rules", "loss_not_decreasing")
    code, said = command(capfd, root / "output/tensors", *rule, *documented)
    assert code == 0, said
    assert "losses need hook.register_loss" not in said
    packed = root / "model"
    (packed / "code").mkdir()
    (packed / "code/inference.py").write_text(POSES_INFERENCE)
    sdk = [option for pair in PROGRAM.items() for option in ("-e", "=".join(pair))]
    with container(*model(packed), *sdk, image=images["serve-mms-torch"]) as (_, url):
        ready(url)
        for number, colour in enumerate(COLOURS):
            status, _, answer = ask(url, photo(colour), {"Content-Type": "image/jpeg"})
            assert status == 200, answer
            (logits,) = json.loads(answer)
            assert logits.index(max(logits)) == number


@pytest.fixture
def planted_weights(tmp_path) -> Path:
    """The files of ResNet50's published weights by their names, with weights that tell them."""
    folder = tmp_path / "weights"
    folder.mkdir()
    network = torchvision.models.resnet50()
    for number, weights in enumerate(torchvision.models.ResNet50_Weights, start=1):
        torch.nn.init.constant_(network.fc.bias, number)
        torch.save(network.state_dict(), folder / weights.url.rpartition("/")[2])
    return folder


def test_baked_weights_serve_pretrained_and_default(images, tmp_path, planted_weights):
    root = script_job(tmp_path, DOGS, 4, batch_size=6)
    baked = f"{planted_weights}:/opt/weights/hub/checkpoints:ro"
    fetch = ("--entrypoint", "/opt/venv/bin/python", images["train"], "-c")
    # what `WEIGHTS=resnet50` runs finds both files by these names, and fetches none
    program = "import sys; sys.argv[1:] = ['resnet50']; sys.path.insert(0, '/opt/build'); "
    program += "import fetch_weights as f; f.fetch('resnet50')"
    fetched = docker("run", "--rm", "--network", "none", "-v", baked, *fetch, program)
    assert fetched.returncode == 0, fetched.stderr
    assert fetched.stdout.count("fetch_weights: ResNet50_Weights.IMAGENET1K_V") == 2
    train(images["train"], root, "--network", "none", "-v", baked)
    state = torch.load(root / "model/model.pth", weights_only=True)
    assert state["fc.2.weight"].shape == (3, 16)
    shutil.rmtree(planted_weights)
