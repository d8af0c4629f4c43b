"""What a graph may ask for before it is compiled, whoever made it: operations, an end, and memory.

A file of 3 kB can hold a tensor of gigabytes, and a loop without an end. It knows OpenVINO's models
of a fixed input shape.
"""

import math
from collections.abc import Iterator
from typing import Any

from artifact.host.machine import memory_left

MOST_OPERATIONS = 10_000  # compiling time grows with their square; timm's largest: 5,000
LOOPS = ("Loop", "TensorIterator")
WEIGHTS_TO_MEMORY = 1.5  # while they are compiled, at least
WIDEST_BITS = 64  # of an element of a kind without a width, such as text

# openvino ships no types; these are its Model, Node and Output.
Model = Any
Node = Any
Output = Any


def check_graph(model: Model, runs: int = 1) -> None:
    """Raise ValueError for a graph that is not run, MemoryError for one that has no room here.

    runs: photos that it may run side by side.
    """
    operations = list(_operations(model))
    if len(operations) > MOST_OPERATIONS:
        raise ValueError(f"it has more than {MOST_OPERATIONS:,} operations")
    if any(node.get_type_name() in LOOPS for node in operations):
        raise ValueError("it holds a loop, which may have no end")
    weights = sum(_bytes_of(node.output(0)) for node in operations if _is_constant(node))
    need = int(weights * WEIGHTS_TO_MEMORY) + runs * run_bytes(model)
    left = memory_left()
    if need > left:
        raise MemoryError(
            f"the network takes about {need / 1e6:,.0f} MB, and {left / 1e6:,.0f} MB are left"
        )


def run_bytes(model: Model) -> int:
    """About how many bytes the results of a graph's operations take at the same time.

    A result is dropped when the last operation that reads it has run. Weights are not counted.
    """
    live = 0
    most = 0
    readers: dict[tuple[str, int], int] = {}
    for node in model.get_ordered_ops():
        if _is_constant(node):
            continue
        inner = sum(map(run_bytes, _branches(node)))
        for output in node.outputs():
            readers[_key(output)] = len(output.get_target_inputs())
            live += _bytes_of(output)
        most = max(most, live + inner)
        for given in node.inputs():
            source = given.get_source_output()
            key = _key(source)
            if key not in readers:  # a constant's
                continue
            readers[key] -= 1
            if not readers[key]:
                live -= _bytes_of(source)
    return most


def _operations(model: Model) -> Iterator[Node]:
    """All operations of a graph, and of the branches in it."""
    for node in model.get_ops():
        yield node
        for branch in _branches(node):
            yield from _operations(branch)


def _is_constant(node: Node) -> bool:
    return bool(node.get_type_name() == "Constant")


def _branches(node: Node) -> list[Model]:
    return [node.get_function(0), node.get_function(1)] if node.get_type_name() == "If" else []


def _key(output: Output) -> tuple[str, int]:
    return output.get_node().get_name(), output.get_index()


def _bytes_of(output: Output) -> int:
    """Of a tensor; 0 where its shape follows from the photo alone."""
    if output.partial_shape.is_dynamic:
        return 0
    bits: int = output.get_element_type().bitwidth or WIDEST_BITS
    values: int = math.prod(output.shape)
    return values * bits // 8
