"""slipway.export: a user's own network becomes an artifact, or one sentence says why not."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import transforms

import slipway
from artifact.engines.choice import open_engine
from artifact.model import read_description
from tests.support.jobs import REPOSITORY, draw_channel

CLASSES = ["blue", "green", "red"]
SIDES = {"resize": 32, "crop": 32}


def small_network(outputs: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, outputs),
    )  # fmt: skip


def test_a_users_network_becomes_an_artifact(tmp_path, monkeypatch):
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path))
    network = small_network().train()
    with torch.no_grad():
        network.get_parameter("4.weight").mul_(20)
    folder = slipway.export(network, CLASSES, SIDES)
    assert folder == tmp_path
    assert network.training
    description = read_description(tmp_path)
    assert description.classes == tuple(CLASSES)
    assert (tmp_path / "model.safetensors").exists()
    engine = open_engine(tmp_path, description, "f32")
    pixels = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3), np.uint8)
    answers = engine.run(pixels)
    engine.close()
    samples = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    mean = torch.tensor(description.preprocessing.mean).view(3, 1, 1)
    std = torch.tensor(description.preprocessing.std).view(3, 1, 1)
    with torch.no_grad():
        expected = network.eval()((samples - mean) / std).softmax(1)
    assert np.abs(answers - expected.numpy()).max() < 1e-4


def test_the_jobs_channels_check_the_artifact(tmp_path, monkeypatch):
    draw_channel(tmp_path / "validation", 2)
    monkeypatch.setenv("SM_CHANNEL_VALIDATION", str(tmp_path / "validation"))
    slipway.export(small_network(), CLASSES, SIDES, directory=tmp_path / "model")
    description = read_description(tmp_path / "model")
    assert description.provenance["judged_on"] == str(tmp_path / "validation")
    assert "too few" in description.quantization["reason"]


def run_script(tmp_path: Path, text: str) -> "subprocess.CompletedProcess[str]":
    """Run it as train.py beside modules that are named as ours."""
    code = tmp_path / "code"
    (code / "artifact").mkdir(parents=True)
    (code / "artifact" / "__init__.py").write_text("MINE = 7\n")
    (code / "artifact" / "inner.py").write_text("MINE = 7\n")
    (code / "recipes.py").write_text("MINE = 7\n")
    (code / "train.py").write_text(text)
    return subprocess.run(
        [sys.executable, code / "train.py"],
        env={"PYTHONPATH": str(REPOSITORY), "SM_MODEL_DIR": str(tmp_path / "model")},
        cwd=code,
        capture_output=True,
        text=True,
    )


# A script of the user's, of the names that our own packages have, in its own folder.
SCRIPT = """
import artifact, recipes, train
assert artifact.MINE == recipes.MINE == 7
from torch import nn
import slipway
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
    def forward(self, x):
        import artifact
        return self.layers(x)
if __name__ == "__main__":
    for _ in range(2):
        slipway.export(Net(), ["cat", "dog"], {"resize": 8, "crop": 8})
    import artifact.inner
    assert artifact.MINE == artifact.inner.MINE == 7
    print("exported")
"""


# The same names, without a network.
NAMES = """
import artifact
from slipway.own_artifact import own_artifact
for _ in range(2):
    with own_artifact():
        from artifact.text.names import printable
        assert printable("x") == "x"
    import artifact.inner
    assert artifact.MINE == artifact.inner.MINE == 7
print("kept apart")
"""


def test_a_package_artifact_of_the_users_own_is_kept_apart(tmp_path):
    done = run_script(tmp_path, NAMES)
    assert done.stdout == "kept apart\n", done.stderr


@pytest.mark.verify
def test_a_script_named_train_beside_its_own_artifact_package(tmp_path):
    done = run_script(tmp_path, SCRIPT)
    assert done.stdout == "exported\n", done.stderr
    assert json.loads((tmp_path / "model" / "model.json").read_text())["classes"] == ["cat", "dog"]


class Branching(nn.Module):
    """What ONNX cannot express."""

    def forward(self, pixels):
        return torch.linalg.matrix_exp(pixels[:, 0, :3, :3])[:, 0]


class Two(nn.Module):
    def forward(self, pixels):
        return pixels, pixels


class Raising(nn.Module):
    def forward(self, pixels):
        raise KeyError("my own")


class OneAtATime(nn.Module):
    """It answers any batch in Python, and its graph one photo alone."""

    def forward(self, pixels):
        count = len(pixels.tolist())
        return pixels.reshape(count, -1)[:, :3]


PROBABILITIES = nn.Sequential(small_network(), nn.Softmax(1))
REFUSED = [
    (small_network(5), CLASSES, SIDES, "gives [8, 5] for 8 photos, and there are 3 classes"),
    (small_network().state_dict(), CLASSES, SIDES, "not its state_dict"),
    (PROBABILITIES, CLASSES, SIDES, "without its softmax"),
    (Two(), CLASSES, SIDES, "one tensor of logits, found a tuple"),
    (Raising(), CLASSES, SIDES, "network Raising cannot be exported ('my own')"),
    (Branching(), CLASSES, SIDES, "Branching"),
    (OneAtATime(), CLASSES, SIDES, "OneAtATime cannot be exported"),
    (small_network(), "blue", SIDES, "a list of names in the order of the network's outputs"),
    (small_network(), {"blue": 0}, SIDES, "found a dict"),
    (small_network(), [0, 1, 2], SIDES, "must be names, found 0"),
    (small_network(), ["a", "a", "b"], SIDES, "different names"),
    (small_network(), CLASSES, None, "preprocessing is a NoneType"),
    (small_network(), CLASSES, {"crop": 32}, "lacks resize"),
    (small_network(), CLASSES, {**SIDES, "size": 3}, "'size', which is not one of"),
    (small_network(), CLASSES, {"resize": 8, "crop": 32}, "crop must lie between"),
]


@pytest.mark.parametrize(("network", "classes", "preprocessing", "words"), REFUSED)
def test_what_makes_no_artifact_is_refused_in_a_sentence(
    tmp_path, network, classes, preprocessing, words
):
    with pytest.raises(slipway.ExportError) as refused:
        slipway.export(network, classes, preprocessing, directory=tmp_path / "model")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "model" / "model.json").exists()


def test_a_folder_without_the_classes_is_refused(tmp_path):
    draw_channel(tmp_path / "photos", 1)
    with pytest.raises(slipway.ExportError, match="no folder with photos that is named after"):
        slipway.export(
            small_network(2), ["x", "y"], SIDES, photos=tmp_path / "photos", directory=tmp_path
        )


def test_hooks_of_the_debugger_see_nothing_of_the_export(tmp_path):
    seen = []
    hook_type = type("Hook", (), {"forward": lambda self, *values: seen.append(values)})
    hook_type.__module__ = "smdebug.pytorch.hook"
    network = small_network()
    hook = hook_type()
    network.register_forward_hook(hook.forward)
    slipway.export(network, CLASSES, SIDES, directory=tmp_path)
    assert not seen
    assert len(network._forward_hooks) == 1


NORMAL = transforms.Normalize([0.5, 0.5, 0.5], [0.25, 0.25, 0.25])
TENSOR = transforms.ToTensor()
GIVEN = [
    (transforms.Compose([transforms.Resize(40), transforms.CenterCrop(32), TENSOR, NORMAL]),
     (40, 32, "bilinear", 0.5, 0.25)),
    (transforms.Compose([transforms.Resize(40), transforms.CenterCrop(32), TENSOR]),
     (40, 32, "bilinear", 0.0, 1.0)),
    ({"input_size": (3, 32, 32), "crop_pct": 0.8, "interpolation": "bicubic", "mean": [0.5] * 3,
      "std": [0.25] * 3}, (40, 32, "bicubic", 0.5, 0.25)),
]  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), GIVEN)
def test_the_forms_of_a_preprocessing(given, expected):
    from slipway.photo_transforms import as_preprocessing

    found = as_preprocessing(given)
    values = (found.resize, found.crop, found.interpolation, found.mean[0], found.std[0])
    assert values == expected


@pytest.mark.slow  # loads timm
def test_torchvisions_own_weights_and_timms_config():
    import timm
    from torchvision.models import ResNet50_Weights

    from artifact.networks.network import own_preprocessing
    from slipway.photo_transforms import as_preprocessing

    own = as_preprocessing(ResNet50_Weights.DEFAULT.transforms())
    assert own == own_preprocessing("resnet50")
    config = timm.get_pretrained_cfg("tf_efficientnet_lite0")
    assert as_preprocessing(config) == own_preprocessing("timm/tf_efficientnet_lite0")


@pytest.mark.parametrize("crop", [32, 24])
@pytest.mark.parametrize("size", [(90, 40), (40, 90)])
def test_a_resize_to_a_square_squeezes_the_photo(size, crop):
    from slipway.photo_transforms import as_preprocessing

    steps = [transforms.Resize((32, 32)), transforms.CenterCrop(crop), TENSOR]
    if crop == 32:
        del steps[1]
    photo = Image.effect_noise(size, 90).convert("RGB")
    expected = transforms.Compose(steps)(photo).permute(1, 2, 0).numpy() * 255
    found = as_preprocessing(transforms.Compose(steps)).pixels(photo)
    assert found.shape == (crop, crop, 3)
    assert np.abs(found - expected).max() <= 1


def test_squeezing_is_kept_in_the_artifact(tmp_path):
    steps = transforms.Compose([transforms.Resize((32, 32)), TENSOR])
    slipway.export(small_network(), CLASSES, steps, directory=tmp_path)
    assert read_description(tmp_path).preprocessing.squeeze
    slipway.export(small_network(), CLASSES, SIDES, directory=tmp_path)
    values = json.loads((tmp_path / "model.json").read_text())
    assert "squeeze" not in values["preprocessing"]  # so that earlier readers read it


NOT_EXPRESSED = [
    ([transforms.Resize((32, 64)), TENSOR], "expected a square"),
    ([transforms.Resize(32), TENSOR], "lacks CenterCrop"),
    ([transforms.RandomResizedCrop(32), TENSOR], "has RandomResizedCrop, which the artifact"),
    ([transforms.Resize(40), transforms.CenterCrop(32), transforms.PILToTensor()], "0 to 255"),
    ([transforms.Resize(40), transforms.CenterCrop((32, 16)), TENSOR], "expected a square"),
]


@pytest.mark.parametrize(("steps", "words"), NOT_EXPRESSED)
def test_transforms_that_the_artifact_cannot_do(steps, words):
    from slipway.photo_transforms import as_preprocessing

    with pytest.raises(slipway.ExportError) as refused:
        as_preprocessing(transforms.Compose(steps))
    assert words in str(refused.value)


@pytest.mark.verify
def test_int8_is_kept_where_a_hundred_photos_judge_it(tmp_path):
    draw_channel(tmp_path / "photos", 40)
    network = small_network()
    slipway.export(network, CLASSES, SIDES, photos=tmp_path / "photos", directory=tmp_path / "m")
    quantization = read_description(tmp_path / "m").quantization
    assert quantization["photos"] == 120
    assert quantization["kept"] == (tmp_path / "m" / "model.int8.xml").exists()
