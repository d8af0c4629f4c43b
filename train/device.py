"""The device that a training computes on, and the type that it computes in."""

import logging
import os
import shutil
from typing import cast

import torch
from torch import nn

from artifact.engines import nvidia
from artifact.engines.nvidia import DeviceError, unused_note
from artifact.host.machine import BF16_FLAGS, processor_flags
from train.job import JobError

# torch.compile's own search; a user's variable CXX comes before it.
COMPILERS = ("g++", "clang++")
log = logging.getLogger(__name__)

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def settle_device(wanted: str) -> None:
    """Let this process, and those that it starts, compute on what the hyperparameter `device` says.

    JobError where a GPU is here that cannot be used, and for `cuda` without one. `cpu` hides the
    GPUs, so it is settled before torch asks for them.
    """
    try:
        if nvidia.settle_device(wanted) or wanted == "cpu":
            return
    except DeviceError as error:
        raise JobError(f"{error} (hyperparameter device=cpu)") from error
    note = unused_note()
    if note:
        log.warning("%s", note)


def pick_device(local_rank: int = 0) -> torch.device:
    """The process's GPU where there are any, else the processor."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", local_rank % torch.cuda.device_count())


def pick_precision(precision: str, device: torch.device) -> torch.dtype:
    """The type that the hyperparameter `precision` names.

    `auto` is bfloat16 where the device multiplies it fast, else float32. JobError for float16
    without a GPU.
    """
    if precision == "auto":
        return torch.bfloat16 if _has_fast_bfloat16(device) else torch.float32
    if precision == "float16" and device.type == "cpu":
        raise JobError(
            "hyperparameter precision=float16 needs a GPU; on this machine set bfloat16 or float32"
        )
    return PRECISIONS[precision]


def _has_fast_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)  # Ampere
    return bool(processor_flags() & BF16_FLAGS)


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """The context in which a network computes in this type."""
    return torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32)


def cast_weights(module: nn.Module, precision: torch.dtype) -> dict[str, torch.Tensor]:
    """The weights, by name, of the layers that autocast computes in `precision`, in that type.

    None for float32. torch.func.functional_call with them gives the same bits as the module under
    autocast, which casts frozen weights anew at every call.
    """
    if precision == torch.float32:
        return {}
    cast_layers = (nn.Linear, nn.modules.conv._ConvNd)
    weights = {}
    for name, layer in module.named_modules():
        if isinstance(layer, cast_layers):
            for part, value in layer.named_parameters(recurse=False):
                weights[f"{name}.{part}"] = value.detach().to(precision)
    return weights


def compiled(module: nn.Module) -> nn.Module:
    """The module as torch.compile runs it, compiled at its first calls.

    JobError on a machine without a C++ compiler.
    """
    wanted = (*COMPILERS, os.environ.get("CXX") or COMPILERS[0])
    if not any(shutil.which(name) for name in wanted):
        raise JobError(
            "hyperparameter compile=true needs a C++ compiler, which this machine lacks; "
            "build the image with PACKAGES='g++ python3-dev', or set compile=false"
        )
    # dropout then draws the same numbers as without compiling
    return cast(nn.Module, torch.compile(module, options={"fallback_random": True}))
