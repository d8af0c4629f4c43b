"""timm's families: each is trained, exported and served, and answers as the network does."""

import json

import numpy as np
import pytest
import torch

from artifact.networks.probabilities import Probabilities
from artifact.networks.torch_network import load_network
from artifact.photos.decoder import decode
from serve.app import create_app
from serve.predictor import Predictor
from tests.support.jobs import make_job, train_job
from tests.support.servers import photo

CPU = torch.device("cpu")
ROUNDING = 1e-3
# The smallest of each family, and pixels of a side.
FAMILIES = {
    "resnet10t": 64,
    "convnext_atto": 64,
    "tf_efficientnet_lite0": 64,
    "mobilenetv4_conv_small_050": 64,
    "vit_tiny_patch16_224": 64,
    "deit_tiny_distilled_patch16_224": 64,  # two classifiers
    "vit_small_patch14_dinov2": 56,
    "vit_small_patch16_dinov3": 64,
    "swin_tiny_patch4_window7_224": 64,
    "eva02_tiny_patch14_224": 56,
    "regnetx_002": 64,
    "maxvit_rmlp_pico_rw_256": 64,
    "mobileone_s0": 64,
}
SLOW = [pytest.param(name, side, marks=pytest.mark.verify) for name, side in FAMILIES.items()]


@pytest.mark.training
@pytest.mark.parametrize("trainable", ["all", "head"])
@pytest.mark.parametrize("name, side", [("test_vit", 32), *SLOW])
def test_a_family_is_served_as_it_was_trained(tmp_path, name, side, trainable):
    """A step, an export whose answers are checked, a server; and the network of the weights file.

    Weights, preprocessing and graph go through the artifact alone.
    """
    model = f"timm/{name}"
    channels = {"train": 3, "validation": 1}
    settings = {"model": model, "trainable": trainable, "image_size": side, "epochs": 1}
    job = make_job(tmp_path, channels, batch_size=16, resize=side, optimizer="adamw", **settings)
    description = train_job(job)
    assert description.architecture == model
    network = load_network(job.model, description, CPU)
    probabilities = Probabilities.of(network, description)
    predictor = Predictor(job.model, "f32")
    client = create_app(predictor).test_client()
    body = photo("green", size=(90, 70))
    answer = client.post("/invocations", data=body, content_type="image/jpeg")
    predictor.close()
    [prediction] = json.loads(answer.data)["predictions"]
    served = {entry["label"]: entry["probability"] for entry in prediction["top"]}
    pixels = description.preprocessing.pixels(decode(body))
    with torch.inference_mode():
        expected = probabilities(torch.from_numpy(pixels.copy())[None])[0].numpy()
    found = [served[label] for label in description.classes]
    np.testing.assert_allclose(found, expected[: len(found)], atol=ROUNDING)
