"""What a training computes on, and in which arithmetic."""

import os
import shutil

import torch
from torch import nn

from artifact.engines import BF16_FLAGS, processor_flags
from train.job import JobError

COMPILERS = (
    "g++",
    "clang++",
)  # torch.compile's own search, but for what a user's variable CXX names
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def pick_device(local_rank: int = 0) -> torch.device:
    """The process's GPU where there are any, else the processor."""
    return (
        torch.device("cuda", local_rank % torch.cuda.device_count())
        if torch.cuda.is_available()
        else torch.device("cpu")
    )


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """The context in which a network computes in this type."""
    return torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32)


def compiled(module: nn.Module) -> nn.Module:
    """The module as torch.compile runs it, made at its first calls. JobError where there is no compiler."""
    if not any(map(shutil.which, (*COMPILERS, os.environ.get("CXX") or COMPILERS[0]))):
        raise JobError(
            "hyperparameter compile=true needs a C++ compiler, and there is none here; "
            "build the image with PACKAGES='g++ python3-dev', or set compile=false"
        )
    return torch.compile(
        module, options={"fallback_random": True}
    )  # dropout then draws the same numbers as without


def cast_weights(module: nn.Module, precision: torch.dtype) -> dict[str, torch.Tensor]:
    """The weights, by name, of a module's layers that autocast computes in `precision`, in that type; none for float32.

    torch.func.functional_call with them gives the same bits as the module under autocast, which casts frozen weights anew at every call.
    """
    if precision == torch.float32:
        return {}
    layers = [
        (name, layer)
        for name, layer in module.named_modules()
        if isinstance(layer, (nn.Linear, nn.modules.conv._ConvNd))
    ]
    return {
        f"{name}.{part}": value.detach().to(precision)
        for name, layer in layers
        for part, value in layer.named_parameters(recurse=False)
    }


def pick_precision(precision: str, device: torch.device) -> torch.dtype:
    """The type that hyperparameter `precision` names; `auto`: bfloat16 where the device multiplies it fast, else float32.

    JobError for float16 without a GPU.
    """
    if precision == "auto":
        quick = (
            torch.cuda.get_device_capability(device) >= (8, 0)
            if device.type == "cuda"
            else bool(processor_flags() & BF16_FLAGS)
        )
        return torch.bfloat16 if quick else torch.float32
    if precision == "float16" and device.type == "cpu":
        raise JobError(
            "hyperparameter precision=float16 needs a GPU; on this machine set bfloat16 or float32"
        )
    return PRECISIONS[precision]
