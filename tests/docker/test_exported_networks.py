"""A user's own script in slipway-train calls slipway.export; slipway-serve serves the result."""

import json
from pathlib import Path

import pytest

from runtime.opt_ml import lay_out
from tests.support.image_jobs import docker
from tests.support.jobs import draw_channel
from tests.support.mms_containers import ask, container, model, photo, ready

pytestmark = [pytest.mark.docker, pytest.mark.verify]

# Named as our own package, beside a module that is named as another. The hook is smdebug's.
SCRIPT = """
import argparse, os
import torch
from torch import nn
from torchvision import datasets, transforms
import smdebug.pytorch as smd
import artifact
import slipway
def main(options):
    sizes = [transforms.Resize(32), transforms.CenterCrop(32), transforms.ToTensor()]
    transform = transforms.Compose(sizes)
    photos = datasets.ImageFolder(os.environ["SM_CHANNEL_TRAIN"], transform)
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    hook = smd.Hook("/opt/ml/output/tensors", save_config=smd.SaveConfig(save_interval=1))
    hook.register_module(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=options.lr)
    loss_of = nn.CrossEntropyLoss()
    for epoch in range(options.epochs):
        for pixels, labels in torch.utils.data.DataLoader(photos, 16, shuffle=True):
            optimizer.zero_grad()
            loss = loss_of(network(pixels), labels)
            loss.backward()
            optimizer.step()
    assert artifact.MINE == 7
    slipway.export(network, photos.classes, transform)
if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float)
    parser.add_argument("--epochs", type=int)
    main(parser.parse_args())
"""


def script_job(root: Path) -> Path:
    settings: dict[str, object] = {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": "/opt/ml/code",
        "lr": 0.1,
        "epochs": 40,
    }
    photos = draw_channel(root / "photos" / "train", 40)
    lay_out(root / "ml", settings, {"train": photos})
    code = root / "ml" / "code"
    code.mkdir(exist_ok=True)
    (code / "train.py").write_text(SCRIPT)
    (code / "artifact.py").write_text("MINE = 7\n")
    return root / "ml"


def test_a_script_named_train_exports_what_slipway_serve_answers_with(images, tmp_path):
    root = script_job(tmp_path)
    done = docker("run", "--rm", "-v", f"{root}:/opt/ml", images["train"], "train")
    assert done.returncode == 0, done.stdout + done.stderr
    described = json.loads((root / "model" / "model.json").read_text())
    assert described["classes"] == ["blue", "green", "red"]
    assert described["provenance"]["judged_on"] == "/opt/ml/input/data/train"
    assert described["quantization"]["photos"] == 120
    with container(*model(root / "model"), image=images["serve"]) as (_, url):
        ready(url)
        for colour in described["classes"]:
            status, _, answer = ask(url, photo(colour), {"Content-Type": "image/jpeg"})
            assert status == 200
            assert json.loads(answer)["predictions"][0]["label"] == colour
