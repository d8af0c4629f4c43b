"""The list of models and weights that is read without torch is that of the libraries."""

import pytest
from torchvision.models import get_model_weights

from artifact.network import architectures
from artifact.timm_network import timm_architectures, timm_tags
from recipes.published import TIMM, published


def test_the_list_is_that_of_torchvision_and_timm():
    known = published()
    assert sorted(name for name in known if name.startswith(TIMM)) == timm_architectures()
    for name in architectures():
        assert known[name] == tuple(entry.name for entry in get_model_weights(name))
    assert len(known) == len(architectures()) + len(timm_architectures())


@pytest.mark.verify
def test_the_weights_are_those_of_timm():
    for name in timm_architectures():
        assert published()[name] == tuple(timm_tags(name))
