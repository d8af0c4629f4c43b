"""Freezing: frozen parts stay as they are, all others train."""

import pytest
import torch

from artifact.networks.network import build
from tests.support.learners import make_learner, one_hot
from train.job import JobError
from train.learning.loop import train_step
from train.model.trainable import freeze, set_training

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "model, trainable, moving, staying",
    [
        (
            "resnet18",
            "head",
            ["fc.weight"],
            # Frozen batch normalisation keeps its statistics, too.
            ["layer4.1.conv2.weight", "layer4.1.bn2.running_mean", "bn1.weight"],
        ),
        (
            "resnet18",
            "layer4",
            ["fc.weight", "layer4.0.conv1.weight", "layer4.1.bn2.running_mean"],
            ["layer3.1.conv2.weight", "layer3.1.bn2.running_mean"],
        ),
        ("resnet18", "all", ["conv1.weight", "fc.weight", "bn1.running_mean"], []),
        (
            "vgg11",
            "classifier.3",
            ["classifier.6.weight", "classifier.3.weight"],
            ["classifier.0.weight", "features.0.weight"],
        ),
        (
            "vit_b_32",
            "encoder.layers.encoder_layer_11",
            ["heads.head.weight", "encoder.layers.encoder_layer_11.self_attention.in_proj_weight"],
            [
                # Parameters that belong to no layer.
                "class_token",
                "encoder.pos_embedding",
                "encoder.layers.encoder_layer_10.self_attention.in_proj_weight",
            ],
        ),
        (
            "swin_t",
            "features.7",
            ["head.weight", "features.7.0.attn.relative_position_bias_table"],
            ["features.5.0.attn.relative_position_bias_table"],
        ),
    ],
)
def test_frozen_parts_stay_and_all_others_move(model, trainable, moving, staying):
    learner = make_learner(trainable, model, optimizer="sgd", lr=0.1)
    before = {name: value.clone() for name, value in learner.network.state_dict().items()}
    set_training(learner.network, learner.frozen)
    torch.manual_seed(1)
    for _ in range(2):
        train_step(learner, (torch.randn(4, 3, 32, 32),), one_hot([0, 1, 2, 0], 3), 4)
    after = learner.network.state_dict()
    for name in moving:
        assert not torch.equal(before[name], after[name]), name
    for name in staying:
        assert torch.equal(before[name], after[name]), name


def test_frozen_dropout_and_batch_normalisation_are_in_eval():
    learner = make_learner("classifier.6", "vgg11_bn")
    set_training(learner.network, learner.frozen)
    layers = {
        name: module
        for name, module in learner.network.named_modules()
        if not list(module.children())
    }
    training = {name for name, module in layers.items() if module.training}
    # All others must not change by looking at photos.
    assert training == {"classifier.6"}


@pytest.mark.parametrize("name", ["layer9", "", "Fc", "layer4."])
def test_an_unknown_module_names_the_known(name):
    with pytest.raises(JobError, match="layer4"):
        freeze(build("resnet18", 3), name)


def test_a_module_of_timms_goes_by_timms_own_name():
    network = build("timm/test_resnet", 3)
    frozen = freeze(network, "layer4")
    assert network.get_submodule("backbone.layer3") in frozen
    assert network.get_submodule("backbone.layer4") not in frozen
    assert network.get_parameter("head.weight").requires_grad
    with pytest.raises(JobError, match="its modules: conv1, .*layer4"):
        freeze(network, "layer9")
