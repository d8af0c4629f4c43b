"""An artifact made by hand, without torch and a training: its graph looks at the mean colour.

It names the three colours of tests.support.jobs rightly and surely. A server cannot see that it
was not trained: the same files but the weights, the same inputs and outputs.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from artifact.model import GRAPH_FILE, Description, write_description
from artifact.photos.decoder import DECODER
from artifact.photos.preprocessing import Preprocessing
from tests.support.jobs import COLOURS, draw_channel
from train.job import Job

Colours = Mapping[str, tuple[int, int, int]]  # red, green and blue by name
OPSET = 17
SHARPNESS = 1.3e-4  # of the probabilities, per squared sample value: a clear photo has about 0.99
PHOTOS = {"train": 16, "validation": 4, "test": 6}  # per class


def colour_job(root: Path) -> Job:
    """A job's tree as after a training: three channels of photos, and the artifact in model/."""
    for number, (name, count) in enumerate(PHOTOS.items()):
        draw_channel(root / "input" / "data" / name, count, seed=number * 100)
    write_colour_model(root / "model")
    return Job(root)


def write_colour_model(
    folder: Path, colours: Colours = COLOURS, threshold: float | None = None
) -> None:
    """The artifact's graph and description; a class is a colour's name.

    threshold: of the squared distance from the nearest colour, up to which a photo is known.
    """
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(colour_graph(colours, threshold is not None), folder / GRAPH_FILE)
    description = Description(
        classes=tuple(sorted(colours)),
        # The graph has its columns in the same order.
        preprocessing=Preprocessing(resize=36, crop=32),
        architecture="shufflenet_v2_x0_5",
        decoder=DECODER,
        accuracy={"validation": 1.0, "test": 1.0},
        known={} if threshold is None else {"score": "distance", "threshold": threshold},
    )
    write_description(folder, description)


def colour_graph(names: Colours, has_distance: bool = False) -> onnx.ModelProto:
    """uint8 [N, 32, 32, 3] to float32 [N, classes]: a softmax over the distances to the colours.

    has_distance: a second output is the squared distance from the nearest one, float32 [N, 1].
    """
    colours = np.array([names[name] for name in sorted(names)], np.float32)
    # -|x - c|^2 = 2 x.c - |c|^2 - |x|^2. Softmax does not see the last part: all classes have it.
    weights = SHARPNESS * 2 * colours.T
    bias = -SHARPNESS * (colours**2).sum(axis=1)
    nodes = [
        helper.make_node("Cast", ["pixels"], ["samples"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["samples"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["products"]),
        helper.make_node("Add", ["products", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", 32, 32, 3])
    probabilities = helper.make_tensor_value_info(
        "probabilities", TensorProto.FLOAT, ["batch", len(colours)]
    )
    constants = [
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(bias, "bias"),
    ]
    outputs = [probabilities]
    if has_distance:
        # |x - c|^2 = |x|^2 - logits / SHARPNESS
        nodes += [
            helper.make_node("ReduceMax", ["logits"], ["highest"], axes=[1], keepdims=1),
            helper.make_node("Div", ["highest", "sharpness"], ["nearest"]),
            helper.make_node("ReduceSumSquare", ["mean"], ["square"], axes=[1], keepdims=1),
            helper.make_node("Sub", ["square", "nearest"], ["distance"]),
        ]
        constants.append(numpy_helper.from_array(np.array(SHARPNESS, np.float32), "sharpness"))
        outputs.append(helper.make_tensor_value_info("distance", TensorProto.FLOAT, ["batch", 1]))
    graph = helper.make_graph(nodes, "colours", [pixels], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
