"""From a trained network to the artifact's files, which must answer as the network does.

Loads torch; runs in training only.
"""

import contextlib
import logging
import os
import re
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray

from artifact.class_means import with_distance, write_class_means
from artifact.drift_reference import REFERENCE_FILE
from artifact.engines.choice import open_engine
from artifact.engines.probe import whole_difference, with_bound, write_probe
from artifact.model import (
    DESCRIPTION_FILE,
    GRAPH_FILE,
    INT8_FILE,
    INT8_WEIGHTS_FILE,
    KNOWN_FILE,
    PROBE_FILE,
    WEIGHTS_FILE,
    Description,
    atomic_file,
    discard_unfinished,
    write_description,
)
from artifact.networks.probabilities import Probabilities

OPSET = 17
# Of a probability: float32's rounding over a deep network stays below 1e-5, a wrong graph is off by
# tenths.
TOLERANCE = 1e-3

Photos = NDArray[np.uint8]  # [N, S, S, 3], preprocessed


class ExportError(RuntimeError):
    """The artifact does not answer as the trained network does."""


# What an artifact may hold beside its weights and its graph.
OPTIONAL_FILES = (INT8_FILE, INT8_WEIGHTS_FILE, KNOWN_FILE, PROBE_FILE, REFERENCE_FILE)


def export(
    network: torch.nn.Module,
    description: Description,
    directory: Path,
    samples: Photos,
    means: torch.Tensor | None = None,
    probe: Photos | None = None,
) -> float:
    """Write weights, graph and model.json to a directory, and check the loaded artifact.

    samples: photos for the check, uint8 [N, S, S, 3], N >= 1. means: of artifact.class_means, where
    the description has a score. probe: photos of the probe, where the description has one. Returns
    the largest difference of a probability or score. Raises ExportError when that is above
    TOLERANCE, OSError when the directory cannot take the files; no half artifact is left then.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    # a reader must never pair the model.json of an earlier training with the new graph
    for name in (DESCRIPTION_FILE, *OPTIONAL_FILES):
        (directory / name).unlink(missing_ok=True)
    discard_unfinished(directory)
    try:
        return _export(network, description, directory, samples, means, probe)
    except BaseException:
        # half an artifact is useless, and takes the disk's last bytes
        remove_artifact(directory)
        raise


def remove_artifact(directory: Path) -> None:
    """Remove the artifact's files, whole or half, as far as possible; other files stay."""
    with contextlib.suppress(OSError):
        for name in (DESCRIPTION_FILE, *OPTIONAL_FILES, GRAPH_FILE, WEIGHTS_FILE):
            (Path(directory) / name).unlink(missing_ok=True)
        discard_unfinished(directory)


def _export(
    network: torch.nn.Module,
    description: Description,
    directory: Path,
    samples: Photos,
    means: torch.Tensor | None,
    probe: Photos | None,
) -> float:
    model = Probabilities.of(network, description).cpu().eval()
    weights = network.state_dict()
    with with_distance(network, means):
        difference = _written(model, weights, description, directory, samples)
    if probe is not None and description.probe:
        with contextlib.closing(open_engine(directory, description, "f32")) as engine:
            write_probe(directory, probe, engine.run(probe))
    if means is not None:
        write_class_means(directory, means.cpu())
    # last: without it no reader takes the folder as an artifact
    write_description(directory, description)
    return difference


def _written(
    model: Probabilities,
    weights: Mapping[str, torch.Tensor],
    description: Description,
    directory: Path,
    samples: Photos,
) -> float:
    """Write weights and graph; the largest difference of the graph's answers from the model's."""
    # half a gigabyte each, for VGG: the disk takes one file while the other is made
    with ThreadPoolExecutor(1) as writer:
        written = writer.submit(_write_weights, weights, directory / WEIGHTS_FILE)
        with atomic_file(directory / GRAPH_FILE) as file:
            write_graph(model, samples[:1], file)
        written.result()
    difference = _difference(model, description, directory, samples)
    if not difference <= TOLERANCE:  # nan, too
        raise ExportError(
            f"the exported graph's probabilities differ from the network's by {difference:.3g} "
            f"on {len(samples)} photos (at most {TOLERANCE} is rounding); no model.json was written"
        )
    return difference


def bounded_by_int8(directory: Path, description: Description) -> Description:
    """The description with the probe's bound as a proven int8 model needs it."""
    if not description.probe or not description.quantization.get("kept", False):
        return description
    with contextlib.closing(open_engine(directory, description, "int8")) as engine:
        apart = whole_difference(engine, directory, description)
    return replace(description, probe=with_bound(description, apart))


def check_exportable(network: torch.nn.Module, side: int) -> None:
    """Run a black photo of side x side pixels through a network, in eval, before the training.

    Raises RuntimeError when the network cannot see photos of that size, or when ONNX could not
    express it. That is adaptive pooling to sizes that do not divide its input's; the rest of
    torchvision's architectures can be exported.
    """
    pools = (torch.nn.AdaptiveAvgPool2d, torch.nn.AdaptiveMaxPool2d)
    hooks = [
        module.register_forward_hook(_check_pool)
        for module in network.modules()
        if isinstance(module, pools)
    ]
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, side, side))
    finally:
        for hook in hooks:
            hook.remove()


def _check_pool(
    module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor
) -> None:
    height, width = inputs[0].shape[-2:]
    to_height, to_width = output.shape[-2:]
    if height % to_height or width % to_width:
        raise ExportError(
            f"its feature map of {height} x {width} cannot be pooled to {to_height} x {to_width} "
            "in ONNX, which needs multiples"
        )


def _write_weights(weights: Mapping[str, torch.Tensor], path: Path) -> None:
    state = {name: value.contiguous() for name, value in weights.items()}
    with atomic_file(path) as file:
        try:
            safetensors.torch.save_file(state, file.name)
        except safetensors.SafetensorError as error:
            # the library hides the system's error in its text
            code = re.search(r"os error (\d+)", str(error))
            if not code:
                raise
            raise OSError(int(code[1]), os.strerror(int(code[1])), str(path)) from error


class _Outputs(torch.nn.Module):
    """The model with an output for the probabilities, and one for the distance where it has it."""

    def __init__(self, model: Probabilities):
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        answers: torch.Tensor = self.model(pixels)
        if not self.model.has_distance:
            return answers
        return answers[:, :-1], answers[:, -1:]


def write_graph(model: Probabilities, sample: Photos, file: BinaryIO) -> None:
    """Write a model's ONNX graph to a file, batch size left open. sample: uint8 [1, S, S, 3]."""
    names = ["probabilities", "distance"][: 1 + model.has_distance]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    fused_attention = torch.backends.mha.get_fastpath_enabled()
    # the fused kernel has no counterpart in ONNX; its parts have
    torch.backends.mha.set_fastpath_enabled(False)
    with warnings.catch_warnings(), torch.inference_mode():
        # the exporter warns of its successor and of traced constants; the check on photos decides
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Outputs(model).eval(),
            (torch.from_numpy(sample.copy()),),
            file,  # type: ignore[arg-type]  # dynamo=False takes files; the type is of dynamo=True
            opset_version=OPSET,
            dynamo=False,
            input_names=["pixels"],
            output_names=names,
            dynamic_axes={name: {0: "batch"} for name in ("pixels", *names)},
        )
    torch.backends.mha.set_fastpath_enabled(fused_attention)


def _difference(
    model: Probabilities, description: Description, directory: Path, samples: Photos
) -> float:
    """The largest difference of a probability or score between the artifact and the model."""
    engine = open_engine(directory, description, "f32")
    answers = engine.run(samples)
    engine.close()
    with torch.inference_mode():
        expected = [model(torch.from_numpy(sample[None].copy())) for sample in samples]
    return float(np.abs(answers - torch.cat(expected).numpy()).max())
