"""torch as an engine, made for GPUs: half precision, channels last, CUDA graphs.

The network is rebuilt from model.json and model.safetensors, with batch norm folded into the
convolutions. torch is loaded when an engine is opened, not before. On a CPU the same code runs,
without graphs.
"""

import copy
import logging
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from artifact.engines.nvidia import start_cuda
from artifact.host.machine import BF16_FLAGS, processor_flags
from artifact.model import ArtifactError, Description

if TYPE_CHECKING:
    import torch

    from artifact.engines.batch_buckets import BatchBuckets


PRECISIONS = ("auto", "f16", "bf16", "f32")
# Of a probability: rounding in half precision stays below a hundredth, overflow is off by tenths.
TOLERANCE = 0.02
PROBES = 8
BF16_CAPABILITY = (8, 0)  # compute capability from which GPUs have bf16

log = logging.getLogger(__name__)


class DeviceMemoryError(ArtifactError, MemoryError):
    """The model does not fit into the device's free memory."""


class TorchEngine:
    """A model on one GPU, or on the CPU.

    `run` may be called from many threads; they take turns batch by batch.
    """

    name = "torch"

    def __init__(
        self,
        directory: Path,
        description: Description,
        precision: str = "auto",
        device: str = "cuda",
        max_batch: int = 64,
    ):
        """Open and warm the artifact of a directory.

        precision: "f16", "bf16", "f32", or "auto": the first of these whose answers on a few
        pictures are as in f32; on a CPU bf16 where the processor has it, else f32. device: "cuda",
        "cuda:1", "cpu".
        Raises ArtifactError for weights that are missing or do not fit model.json, DeviceError,
        DeviceMemoryError; ValueError for another precision or max_batch.
        """
        _check_settings(precision, max_batch)
        import torch

        from artifact.networks.torch_network import load_network

        size = description.preprocessing.crop
        self.input_shape = (size, size, 3)
        self.columns = description.columns
        self._turn = threading.Lock()
        self._device = _started(device)
        self._buckets: BatchBuckets | None = None
        try:
            with torch.inference_mode():
                network = load_network(Path(directory), description, self._device)
                model, self.precision = _chosen(network, description, precision, self._device)
                del network  # in float32; its memory is needed below
                buckets = _batch_buckets(model, self.input_shape, max_batch, self._device)
        except torch.OutOfMemoryError as error:
            raise DeviceMemoryError(
                f"'{directory}' does not fit into the free memory of {self._device}; "
                "unload another model or take a larger GPU"
            ) from error
        self._buckets = buckets
        self.max_batch = buckets.sizes[-1]

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Answers, float32 [N, columns], to pixels, uint8 [N, H, W, 3], for any N.

        Raises RuntimeError once the engine is closed; DeviceMemoryError where a model that runs
        without graphs finds no memory.
        """
        import torch

        if pixels.dtype != np.uint8 or pixels.shape[1:] != self.input_shape:
            raise ValueError(
                f"expected uint8 pixels [N, {', '.join(map(str, self.input_shape))}], "
                f"found {pixels.dtype} {list(pixels.shape)}"
            )
        answers = np.empty((len(pixels), self.columns), np.float32)
        for start in range(0, len(pixels), self.max_batch):
            chunk = slice(start, start + self.max_batch)
            with self._turn, torch.inference_mode():
                if self._buckets is None:
                    raise RuntimeError("the engine is closed")
                try:
                    answers[chunk] = self._buckets.run(pixels[chunk])
                except torch.OutOfMemoryError as error:
                    raise DeviceMemoryError(
                        f"{self._device} has no free memory for {len(pixels[chunk])} photos"
                    ) from error
        return answers

    def close(self) -> None:
        """Give the memory back, the device's too, after the batch under way.

        A second call does nothing.
        """
        with self._turn:
            if self._buckets is not None:
                self._buckets.close()
            self._buckets = None


def _check_settings(precision: str, max_batch: int) -> None:
    if precision not in PRECISIONS or max_batch < 1:
        raise ValueError(
            f"precision must be one of {', '.join(PRECISIONS)} and max_batch 1 or more, "
            f"found '{precision}' and {max_batch}"
        )


def _started(name: str) -> "torch.device":
    """The device of a name, ready to compute. Raises DeviceError; ValueError for another name."""
    import torch

    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise ValueError(f"device must be cpu, cuda or cuda:<number>, found '{name}'")
    device = torch.device(name)
    if device.type == "cpu":
        return device
    start_cuda(device.index)
    if device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    # These are the whole process's. Shapes are few and fixed, so cuDNN may try its kernels out.
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = False  # f32 must mean float32
    return device


def _chosen(
    network: "torch.nn.Module", description: Description, precision: str, device: "torch.device"
) -> "tuple[torch.nn.Module, str]":
    """The model, from uint8 pixels to probabilities, in the precision asked for; and its name."""
    import torch

    from artifact.networks.network import Cast
    from artifact.networks.probabilities import Probabilities

    types = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32}
    probes = torch.from_numpy(_probes(description.preprocessing.crop)).to(device)

    def model_of(inner: torch.nn.Module) -> torch.nn.Module:
        return Probabilities.of(inner, description).to(device).eval()

    names: tuple[str, ...] = (precision,)
    if precision == "auto":
        names = _candidates(device)
    *tried, last = names
    if tried:
        expected = model_of(network)(probes)
    for name in tried:
        model = model_of(Cast(_folded(network), types[name]))
        difference = float((model(probes) - expected).abs().max())
        if difference <= TOLERANCE:  # false for nan, too
            return model, name
        log.warning(
            "probabilities in %s differ from those in f32 by %.3g, more than %g; "
            "the network runs more exactly",
            name,
            difference,
            TOLERANCE,
        )
    return model_of(Cast(_folded(network), types[last])), last


def _candidates(device: "torch.device") -> tuple[str, ...]:
    """Precisions to try, the quickest first."""
    import torch

    if device.type == "cuda":
        if torch.cuda.get_device_capability(device) >= BF16_CAPABILITY:
            return ("f16", "bf16", "f32")
        return ("f16", "f32")
    if processor_flags() & BF16_FLAGS:
        return ("bf16", "f32")
    return ("f32",)


def _probes(size: int) -> NDArray[np.uint8]:
    """Pictures to compare precisions on, uint8 [PROBES, size, size, 3]; always the same.

    The first is one coarse patch, the last is noise.
    """
    random = np.random.default_rng(0)
    pictures = []
    for index in range(PROBES):
        patch = max(1, size >> index)
        count = -(-size // patch)  # rounded up
        patches = random.integers(0, 256, (count, count, 3), dtype=np.uint8)
        pictures.append(patches.repeat(patch, axis=0).repeat(patch, axis=1)[:size, :size])
    return np.stack(pictures)


def _folded(network: "torch.nn.Module") -> "torch.nn.Module":
    """A copy with batch norm inside the convolutions before it: fewer kernels, less rounding.

    A plain copy if torch cannot trace the network.
    """
    from torch.fx.experimental.optimization import fuse

    try:
        return fuse(network)
    except Exception as error:  # any error that the network's own Python raises while traced
        log.info(
            "batch norm stays on its own, for the network cannot be traced (%s)",
            str(error).partition("\n")[0],
        )
        return copy.deepcopy(network)


def _batch_buckets(
    model: "torch.nn.Module", shape: tuple[int, int, int], max_batch: int, device: "torch.device"
) -> "BatchBuckets":
    from artifact.engines.batch_buckets import BatchBuckets, CpuBackend, CudaBackend, bucket_sizes

    backend = CudaBackend(device) if device.type == "cuda" else CpuBackend()
    return BatchBuckets(model, shape, bucket_sizes(max_batch), backend)
