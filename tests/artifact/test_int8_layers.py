"""Which layers stay in float, by the graph alone."""

from types import SimpleNamespace

import pytest

from artifact.engines import int8_layers
from artifact.engines.int8_layers import (
    ATTEMPTS,
    goes_below_zero,
    is_depthwise,
    is_transformer,
    layers_in_float,
    overflow_fix,
)


def graph(*types: str) -> SimpleNamespace:
    """A graph of such nodes, named by their place."""

    def node(place: int, kind: str) -> SimpleNamespace:
        name = f"/distance/{place}" if kind == "distance" else str(place)
        return SimpleNamespace(
            get_type_name=lambda: "MatMul" if kind == "distance" else kind,
            get_friendly_name=lambda: name,
        )

    nodes = [node(place, kind) for place, kind in enumerate(types)]
    return SimpleNamespace(get_ordered_ops=lambda: nodes)


PLAIN = graph(*["Convolution", "Relu"] * 10, "MatMul", "Softmax", "distance")
MOBILE = graph(*["Convolution", "GroupConvolution", "Clamp"] * 10, "MatMul", "Softmax")


def test_the_first_and_the_last_layers_stay_in_float():
    assert layers_in_float(PLAIN, 0) == ["0", "20"]
    assert layers_in_float(PLAIN, 1) == ["0", "2", "4", "6", "8", "10", "12", "18", "20"]


def test_more_of_them_where_layers_look_at_single_channels():
    assert layers_in_float(MOBILE, 0) == ["0", "1", "3", "4", "6", "7", "9", "28", "30"]
    assert len(layers_in_float(MOBILE, 1)) == 16


def test_a_network_of_a_few_layers_is_all_in_int8():
    for attempt in range(ATTEMPTS):
        assert layers_in_float(graph("Convolution", "MatMul", "Softmax"), attempt) == []


@pytest.mark.parametrize(
    "found, depthwise, transformer, below",
    [
        (PLAIN, False, False, False),
        (MOBILE, True, False, True),
        (graph("MatMul", "Softmax", "MatMul", "Gelu", "Softmax"), False, True, True),
        (graph("Convolution", "Swish", "Softmax"), False, False, True),
    ],
)
def test_what_a_graph_says_of_its_network(found, depthwise, transformer, below):
    assert is_depthwise(found) is depthwise
    assert is_transformer(found) is transformer
    assert goes_below_zero(found) is below


def test_weights_take_seven_bits_where_sums_saturate():
    assert overflow_fix(frozenset({"avx2", "avx512_vnni"})) == "disable"
    assert overflow_fix(frozenset({"avx2"})) == "enable"


def test_each_attempt_leaves_fewer_layers_to_int8():
    for ends in (int8_layers.FLOAT_ENDS, int8_layers.FLOAT_ENDS_DEPTHWISE):
        assert list(ends) == sorted(ends)
