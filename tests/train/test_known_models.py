"""The list of models and weights that is read without torch is that of the libraries."""

import pytest
import torch
from torchvision.models import get_model_weights

from artifact.networks.network import architectures, build, own_preprocessing
from artifact.networks.timm_network import timm_architectures, timm_tags
from recipes.networks import BACKBONE, outline_of, outlines
from recipes.published import TIMM, published
from train.model.trainable import head_name


def test_the_list_is_that_of_torchvision_and_timm():
    known = published()
    assert sorted(name for name in known if name.startswith(TIMM)) == timm_architectures()
    for name in architectures():
        assert known[name] == tuple(entry.name for entry in get_model_weights(name))
    assert len(known) == len(architectures()) + len(timm_architectures())


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in published() if not name.startswith(TIMM)])
def test_the_outlines_are_those_of_torchvisions_networks(name):
    check_outline(name)


@pytest.mark.verify
@pytest.mark.parametrize("name", [name for name in outlines() if name.startswith(TIMM)])
def test_the_outlines_are_those_of_timms_networks(name):
    check_outline(name)


def check_outline(name: str) -> None:
    """The list's outline is that of the network, which is built without its weights' memory."""
    side = own_preprocessing(name).crop
    try:
        with torch.device("meta"):
            network = build(name, 2, (), side)
    except NotImplementedError:  # some count their blocks by tensors
        network = build(name, 2, (), side, drawn=False)
    outer = getattr(network, BACKBONE, network)
    modules = {}
    for module, child in outer.named_children():
        within = [inner for inner, _ in child.named_children()]
        numbered = within == list(map(str, range(len(within))))
        modules[module] = len(within) if numbered else 0
    assert outline_of(name) == (head_name(network), modules)


@pytest.mark.verify
def test_the_weights_are_those_of_timm():
    for name in timm_architectures():
        assert published()[name] == tuple(timm_tags(name))
