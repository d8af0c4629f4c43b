"""torch as an engine, made for GPUs: the network rebuilt from model.json and model.safetensors, in half precision,
channels last, batch norm folded into the convolutions, replayed from CUDA graphs.

torch is loaded when an engine is opened, not before. On a CPU the same code runs, without graphs.
"""

import copy
import logging
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artifact.model import WEIGHTS_FILE, ArtifactError, Description
from artifact.nvidia import cuda_available, gpu_problem, start_problem

if TYPE_CHECKING:
    import torch


__all__ = ["DeviceError", "DeviceMemoryError", "TorchEngine", "cuda_available"]

PRECISIONS = ("auto", "f16", "bf16", "f32")
TOLERANCE = 0.02  # of a probability: rounding in half precision stays below a hundredth, overflow is off by tenths
PROBES = 8

log = logging.getLogger(__name__)


class DeviceError(ArtifactError):
    """The device that was asked for is not there or does not start; another one may do."""


class DeviceMemoryError(ArtifactError, MemoryError):
    """The model does not fit into the device's free memory."""


class TorchEngine:
    """A model on one GPU, or on the CPU. `run` may be called from many threads; they take turns batch by batch."""

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

        precision: "f16", "bf16", "f32", or "auto": on a GPU the first of these, on a CPU bf16 where the processor has it
        and else f32, whose answers on a few pictures are as in f32. device: "cuda", "cuda:1", "cpu".
        Raises ArtifactError for weights that are missing or do not fit model.json, DeviceError, DeviceMemoryError;
        ValueError for another precision or max_batch.
        """
        if precision not in PRECISIONS or max_batch < 1:
            raise ValueError(
                f"precision must be one of {', '.join(PRECISIONS)} and max_batch 1 or more, found '{precision}' and {max_batch}"
            )
        import torch

        size = description.preprocessing.crop
        self.input_shape, self.classes = (size, size, 3), len(description.classes)
        self._turn = threading.Lock()
        self._device = _started(device)
        try:
            with torch.inference_mode():
                network = _network(Path(directory), description, self._device)
                model, self.precision = _chosen(network, description, precision, self._device)
                del network  # in float32; its memory is wanted below
                self._buckets = _batch_buckets(model, self.input_shape, max_batch, self._device)
        except torch.OutOfMemoryError as error:
            raise DeviceMemoryError(
                f"'{directory}' does not fit into the free memory of {self._device}; "
                "unload another model or take a larger GPU"
            ) from error
        self.max_batch = self._buckets.sizes[-1]

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """Probabilities, float32 [N, classes], of pixels, uint8 [N, H, W, 3], for any N.

        RuntimeError once the engine is closed; DeviceMemoryError where a model that runs without graphs finds no memory.
        """
        import torch

        if pixels.dtype != np.uint8 or pixels.shape[1:] != self.input_shape:
            raise ValueError(
                f"expected uint8 pixels [N, {', '.join(map(str, self.input_shape))}], "
                f"found {pixels.dtype} {list(pixels.shape)}"
            )
        answers = np.empty((len(pixels), self.classes), np.float32)
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
        """Give the memory back, the device's too. Waits for a batch under way; a second call does nothing."""
        with self._turn:
            if self._buckets is not None:
                self._buckets.close()
            self._buckets = None


def _started(name: str) -> "torch.device":
    """The device of a name, ready to compute. DeviceError, or ValueError for a name of no kind that we know."""
    import torch

    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise ValueError(f"device must be cpu, cuda or cuda:<number>, found '{name}'")
    device = torch.device(name)
    if device.type == "cpu":
        return device
    try:
        torch.cuda.init()
        device = torch.device(
            "cuda", torch.cuda.current_device() if device.index is None else device.index
        )
        problem = gpu_problem(
            torch.cuda.get_device_name(device),
            torch.cuda.get_device_capability(device),
            torch.cuda.get_arch_list(),
        )
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(start_problem(str(error), torch.version.cuda)) from error
    if problem:
        raise DeviceError(problem)
    # of the process: shapes are few and fixed, so cuDNN may try its kernels out; and f32 is to mean float32, not TF32
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = False
    return device


def _network(
    directory: Path, description: Description, device: "torch.device"
) -> "torch.nn.Module":
    """The trained network in float32 on the device. ArtifactError where the files do not make one."""
    import safetensors
    import safetensors.torch
    import torch

    from artifact.network import build

    path = directory / WEIGHTS_FILE
    what = f"{description.architecture} with {len(description.classes)} classes and the head {list(description.head)}"
    try:
        weights = safetensors.torch.load_file(path)
        for made_on in (
            "meta",
            "cpu",
        ):  # without memory first: no random weights are drawn, seconds for a large network
            try:
                with torch.device(made_on):
                    network = build(
                        description.architecture,
                        len(description.classes),
                        description.head,
                        description.preprocessing.crop,
                        drawn=False,
                    )
            except (
                NotImplementedError
            ):  # RegNet computes its widths from tensors, which have no data there
                continue
            network.load_state_dict(weights, assign=True)
            if not any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers())):
                break
    except FileNotFoundError as error:
        raise ArtifactError(
            f"'{directory}' holds no {WEIGHTS_FILE}, which the torch engine needs; expected the files that training wrote"
        ) from error
    except (OSError, safetensors.SafetensorError) as error:
        raise ArtifactError(f"'{path}' cannot be read as weights ({error})") from error
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, AssertionError) as error:
        found = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ArtifactError(
            f"'{path}' does not fit model.json, which says {what} ({' '.join(found[:2])[:300]})"
        ) from error
    return network.to(device, torch.float32).eval()


def _chosen(
    network: "torch.nn.Module", description: Description, precision: str, device: "torch.device"
) -> "tuple[torch.nn.Module, str]":
    """From uint8 pixels to probabilities in the precision asked for, and that precision's name."""
    import torch

    from artifact.network import Cast, Probabilities

    types = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32}
    size = description.preprocessing.crop
    probes = torch.from_numpy(_probes(size)).to(device)

    def model_of(inner: torch.nn.Module) -> torch.nn.Module:
        return (
            Probabilities(
                inner, description.preprocessing, description.temperature, description.multi_label
            )
            .to(device)
            .eval()
        )

    names = _candidates(device) if precision == "auto" else (precision,)
    expected = model_of(network)(probes) if len(names) > 1 else None
    for name in names:
        model = model_of(Cast(_folded(network), types[name]))
        if name == names[-1]:
            return model, name
        difference = float((model(probes) - expected).abs().max())
        if difference <= TOLERANCE:  # not so for nan either
            return model, name
        log.warning(
            "probabilities in %s differ from those in f32 by %.3g, more than %g; the network runs more exactly",
            name,
            difference,
            TOLERANCE,
        )
    raise AssertionError("the last candidate is always taken")


def _candidates(device: "torch.device") -> tuple[str, ...]:
    """Precisions to try, the quickest first."""
    import torch

    if device.type == "cuda":
        return (
            ("f16", "bf16", "f32")
            if torch.cuda.get_device_capability(device) >= (8, 0)
            else ("f16", "f32")
        )
    has = torch.cpu.get_capabilities()
    return (
        ("bf16", "f32")
        if has.get("avx512_bf16") or has.get("amx_bf16") or has.get("bf16")
        else ("f32",)
    )


def _probes(size: int) -> np.ndarray:
    """Pictures to compare precisions on, uint8 [PROBES, size, size, 3]: from coarse patches to noise, always the same."""
    random = np.random.default_rng(0)
    pictures = []
    for index in range(PROBES):
        patch = max(1, size >> index)
        patches = random.integers(0, 256, (-(-size // patch), -(-size // patch), 3), dtype=np.uint8)
        pictures.append(patches.repeat(patch, axis=0).repeat(patch, axis=1)[:size, :size])
    return np.stack(pictures)


def _folded(network: "torch.nn.Module") -> "torch.nn.Module":
    """A copy with batch norm inside the convolutions before it: fewer kernels, less rounding; as it is if torch cannot trace it."""
    from torch.fx.experimental.optimization import fuse

    try:
        return fuse(network)
    except Exception as error:  # whatever a network's own Python raises when it is traced
        log.info(
            "batch norm stays on its own, for the network cannot be traced (%s)",
            str(error).partition("\n")[0],
        )
        return copy.deepcopy(network)


def _batch_buckets(
    model: "torch.nn.Module", shape: tuple[int, int, int], max_batch: int, device: "torch.device"
) -> "BatchBuckets":  # noqa: F821
    from artifact.batch_buckets import BatchBuckets, CpuBackend, CudaBackend, bucket_sizes

    return BatchBuckets(
        model,
        shape,
        bucket_sizes(max_batch),
        CudaBackend(device) if device.type == "cuda" else CpuBackend(),
    )
