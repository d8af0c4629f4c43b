"""Which layers of a graph compute in int8, and what else NNCF must know of it.

It reads the graph alone, as networks come from several libraries under many names.
"""

import re
from typing import Any

from artifact.host.machine import INT8_FLAGS

WEIGHTED = ("Convolution", "GroupConvolution", "MatMul")  # OpenVINO's layers with weights
DEPTHWISE = "GroupConvolution"
# Nodes of the score behind `known`: they cost nothing, and its differences are small.
DISTANCE = ".*/distance/.*"
# Of activations that go below zero. Asymmetric ranges waste no half of the 256 steps on them.
BELOW_ZERO = {"Swish", "HSwish", "Gelu", "Erf", "Sigmoid", "HSigmoid", "Elu"}
# How many of the first and of the last layers stay in float, by attempt. They see the photo and
# decide on the class; in int8 they cost most of the agreement (bench/int8_agreement.py).
FLOAT_ENDS = ((1, 1), (7, 2))
# Layers of single channels have few sums in which errors even out, and nothing clips what lies
# between their blocks: more of them stay in float.
FLOAT_ENDS_DEPTHWISE = ((7, 2), (13, 3))
ATTEMPTS = len(FLOAT_ENDS)

Graph = Any  # openvino.Model


def is_depthwise(graph: Graph) -> bool:
    """Whether layers look at single channels, or groups of them."""
    return DEPTHWISE in _types(graph)


def is_transformer(graph: Graph) -> bool:
    """Whether it attends: a softmax for each attention, beside that of the answer."""
    return _types(graph).count("Softmax") > 1


def goes_below_zero(graph: Graph) -> bool:
    """Whether activations do, so that their ranges had better be asymmetric."""
    return is_depthwise(graph) or is_transformer(graph) or bool(BELOW_ZERO & set(_types(graph)))


def overflow_fix(flags: frozenset[str]) -> str:
    """Of NNCF's OverflowFix, for the processor that judges the model.

    Without VNNI, sums of products of 8 bits saturate: weights then take 7 bits. That costs
    agreement, so with VNNI they do not.
    """
    if flags & INT8_FLAGS.keys():
        return "disable"
    return "enable"


def layers_in_float(graph: Graph, attempt: int) -> list[str]:
    """Names of the layers that stay in float, more of them with each attempt from 0.

    None of a network that has no others.
    """
    layers = [node for node in _nodes(graph) if node.get_type_name() in WEIGHTED]
    ends = FLOAT_ENDS_DEPTHWISE if is_depthwise(graph) else FLOAT_ENDS
    first, last = ends[attempt]
    if first + last >= len(layers):
        return []
    kept = layers[:first] + layers[len(layers) - last :]
    return [str(node.get_friendly_name()) for node in kept]


def _types(graph: Graph) -> list[str]:
    return [node.get_type_name() for node in _nodes(graph)]


def _nodes(graph: Graph) -> list[Any]:
    """Its nodes in order, without those of the distance."""
    nodes = graph.get_ordered_ops()
    return [node for node in nodes if not re.match(DISTANCE, node.get_friendly_name())]
