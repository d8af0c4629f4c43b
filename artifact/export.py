"""From a trained network to the artifact's files, proven: the artifact must answer as the network does.

Loads torch; runs in training only.
"""

import contextlib
import logging
import os
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
import safetensors
import safetensors.torch
import torch

from artifact.engines import open_engine
from artifact.model import (
    DESCRIPTION_FILE,
    GRAPH_FILE,
    INT8_FILE,
    INT8_WEIGHTS_FILE,
    WEIGHTS_FILE,
    Description,
    atomic_file,
    discard_unfinished,
    write_description,
)
from artifact.network import Probabilities

OPSET = 17
TOLERANCE = (
    1e-3  # float32 rounding over a deep network stays below 1e-5; a wrong graph is off by tenths
)


class ExportError(RuntimeError):
    """The artifact does not answer as the trained network does."""


def export(
    network: torch.nn.Module, description: Description, directory: Path, samples: np.ndarray
) -> float:
    """Write weights, graph and model.json to a directory, and check the loaded artifact on samples.

    samples: uint8 [N, S, S, 3], N >= 1, preprocessed photos. Returns the largest difference of a probability.
    Raises ExportError when that is above TOLERANCE, OSError when the directory cannot take the files; no half artifact
    is left then.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    # a reader must never pair the model.json of an earlier training with the new graph
    for name in (DESCRIPTION_FILE, INT8_FILE, INT8_WEIGHTS_FILE):
        (directory / name).unlink(missing_ok=True)
    discard_unfinished(directory)
    try:
        return _export(network, description, directory, samples)
    except BaseException:
        remove_artifact(
            directory
        )  # half of one is no use to anyone, and takes the disk's last bytes
        raise


def remove_artifact(directory: Path) -> None:
    """Take the artifact's files, whole or half, out of a directory, as far as that can be done; other files stay."""
    with contextlib.suppress(OSError):
        for name in (DESCRIPTION_FILE, INT8_FILE, INT8_WEIGHTS_FILE, GRAPH_FILE, WEIGHTS_FILE):
            (Path(directory) / name).unlink(missing_ok=True)
        discard_unfinished(directory)


def _export(
    network: torch.nn.Module, description: Description, directory: Path, samples: np.ndarray
) -> float:
    model = (
        Probabilities(
            network, description.preprocessing, description.temperature, description.multi_label
        )
        .cpu()
        .eval()
    )
    with ThreadPoolExecutor(
        1
    ) as beside:  # half a gigabyte each, for VGG: the disk takes the one while the other is made
        weights = beside.submit(_write_weights, network, directory / WEIGHTS_FILE)
        with atomic_file(directory / GRAPH_FILE) as file:
            write_graph(model, samples[:1], file)
        weights.result()
    difference = _difference(model, description, directory, samples)
    if not difference <= TOLERANCE:
        raise ExportError(
            f"the exported graph's probabilities differ from the network's by {difference:.3g} "
            f"on {len(samples)} photos (at most {TOLERANCE} is rounding); no model.json was written"
        )
    write_description(
        directory, description
    )  # last: without it no reader takes the folder for an artifact
    return difference


def check_exportable(network: torch.nn.Module, side: int) -> None:
    """Run a black photo of side x side pixels through a network, in eval: RuntimeError when it cannot see photos of that size, or
    when ONNX could not express what it does with them, which else would be found out after the training.

    That is adaptive pooling to sizes that do not divide its input's; the rest of torchvision's architectures can be exported.
    """

    def check(
        module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor
    ) -> None:
        have, wanted = tuple(inputs[0].shape[-2:]), tuple(output.shape[-2:])
        if any(size % into for size, into in zip(have, wanted)):
            raise ExportError(
                "its feature map of {} x {} cannot be pooled to {} x {} in ONNX, which needs multiples".format(
                    *have, *wanted
                )
            )

    pools = [
        module
        for module in network.modules()
        if isinstance(module, (torch.nn.AdaptiveAvgPool2d, torch.nn.AdaptiveMaxPool2d))
    ]
    hooks = [module.register_forward_hook(check) for module in pools]
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, side, side))
    finally:
        for hook in hooks:
            hook.remove()


def _write_weights(network: torch.nn.Module, path: Path) -> None:
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    with atomic_file(path) as file:
        try:
            safetensors.torch.save_file(state, file.name)
        except safetensors.SafetensorError as error:  # it hides what the system said in its text
            if not (code := re.search(r"os error (\d+)", str(error))):
                raise
            raise OSError(int(code[1]), os.strerror(int(code[1])), str(path)) from error


def write_graph(model: Probabilities, sample: np.ndarray, file: BinaryIO) -> None:
    """Write a model's ONNX graph to a file, batch size left open. sample: uint8 [1, S, S, 3]."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    fused_attention = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(
        False
    )  # the fused kernel has no ONNX counterpart; its parts have
    with warnings.catch_warnings(), torch.inference_mode():
        # the exporter warns of its successor and of traced constants; the check on real photos is what decides
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.from_numpy(sample.copy()),),
            file,
            opset_version=OPSET,
            dynamo=False,
            input_names=["pixels"],
            output_names=["probabilities"],
            dynamic_axes={"pixels": {0: "batch"}, "probabilities": {0: "batch"}},
        )
    torch.backends.mha.set_fastpath_enabled(fused_attention)


def _difference(
    model: Probabilities, description: Description, directory: Path, samples: np.ndarray
) -> float:
    engine = open_engine(directory, description, "f32")
    answers = engine.run(samples)
    engine.close()
    with torch.inference_mode():
        expected = torch.cat(
            [model(torch.from_numpy(sample[None].copy())) for sample in samples]
        ).numpy()
    return float(np.abs(answers - expected).max())
