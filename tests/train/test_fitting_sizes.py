"""Models and sizes that do not work: the sentence names the ones near them that do."""

import pytest
import torch

from recipes.hyperparameters import Hyperparameters
from train.distributed.context import ALONE
from train.job import JobError
from train.model.known_models import check_model
from train.model.networks import make_network


@pytest.mark.parametrize(
    "model, side, sides",
    [
        ("vit_b_32", 100, "96 or 128"),
        ("maxvit_t", 112, "224"),
        ("timm/test_vit", 8, "16"),
        pytest.param("timm/maxvit_rmlp_pico_rw_256", 100, "96 or 128", marks=pytest.mark.verify),
    ],
)
def test_the_sizes_that_fit_are_named(model, side, sides):
    hp = Hyperparameters(model=model, image_size=side, weights="none")
    cpu = torch.device("cpu")
    with pytest.raises(JobError) as caught:
        make_network(hp, ("a", "b"), {}, cpu, ALONE, None)
    sentence = str(caught.value)
    assert sentence.startswith(f"model {model} cannot see photos of {side} x {side} pixels (")
    assert sentence.endswith(f"; set image_size={sides}")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "name, words",
    [
        ("timm/resnt18", "not one of timm's classifiers; did you mean timm/resnet18 or timm/"),
        ("convnext_femto", "not a torchvision classification model; did you mean timm/convnext_fe"),
        ("timm/mobilenetv5_300m_enc", "not one of timm's classifiers"),  # gives no row of features
        ("timm/swin_tiny", "did you mean timm/swin_tiny_patch4_window7_224"),  # cut off
        ("hf_hub:timm/resnet18.a1_in1k", "did you mean timm/resnet18"),
        ("zzz", "classification model; give a name of torchvision's, such as resnet50, or timm/"),
    ],
)
def test_an_unknown_model_gets_the_nearest_names(name, words):
    with pytest.raises(JobError, match=words):
        check_model(name)
    check_model("timm/resnet18.a1_in1k")
