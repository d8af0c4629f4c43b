"""What an artifact's network sees in a photo: its head's inputs, read out of its own graph.

Only where the artifact has the score behind `known` (artifact/class_means.py): the distance begins
with the length of the head's inputs, and by that they are found. It loads OpenVINO when it is used.
"""

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artifact.engines.openvino_engine import load_openvino
from artifact.model import GRAPH_FILE, ArtifactError

LENGTH = "ReduceL2"  # the operation of artifact.class_means whose input they are
DISTANCE = "distance"  # the graph's output

Node = Any  # openvino ships no types


class HeadInputs:
    """A compiled graph, in float32, from pixels to the inputs of its head."""

    def __init__(self, directory: Path):
        """Raises ArtifactError for a graph without a distance, and for one that is damaged."""
        path = Path(directory) / GRAPH_FILE
        openvino = load_openvino()
        core = openvino.Core()
        try:
            whole = core.read_model(path)
            cut = _found(whole.output(DISTANCE).get_node())
            shown = openvino.Model([cut.input_value(0)], whole.get_parameters(), "head inputs")
            _, *shape = shown.inputs[0].partial_shape
            shown.reshape([1, *(side.get_length() for side in shape)])
            compiled = core.compile_model(shown, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        except (RuntimeError, LookupError) as error:
            reason = str(error).splitlines()[-1]
            raise ArtifactError(f"'{path}' does not show its head's inputs ({reason})") from error
        self._request = compiled.create_infer_request()

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 [N, D] of photos, uint8 [N, S, S, 3]."""
        rows = []
        for place in range(len(pixels)):
            self._request.infer([pixels[place : place + 1]])
            rows.append(self._request.output_tensors[0].data[0].copy())
        return np.stack(rows).astype(np.float32)


def _found(output: Node) -> Node:
    """The nearest length before an output, breadth first. LookupError without one."""
    level = [output]
    while level:
        for node in level:
            if node.get_type_name() == LENGTH:
                return node
        inputs = chain.from_iterable(node.inputs() for node in level)
        before = [value.get_source_output().get_node() for value in inputs]
        level = list({node.friendly_name: node for node in before}.values())
    raise LookupError("it computes no distance")
