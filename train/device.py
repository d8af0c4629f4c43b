"""What a training computes on, and in which arithmetic."""

import torch

from artifact.engines import BF16_FLAGS, processor_flags
from train.job import JobError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def pick_device(local_rank: int = 0) -> torch.device:
    """The process's GPU where there are any, else the processor."""
    return torch.device("cuda", local_rank % torch.cuda.device_count()) if torch.cuda.is_available() else torch.device("cpu")


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """The context in which a network computes in this type."""
    return torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32)


def pick_precision(precision: str, device: torch.device) -> torch.dtype:
    """The type that hyperparameter `precision` names; `auto`: bfloat16 where the device multiplies it fast, else float32.

    JobError for float16 without a GPU.
    """
    if precision == "auto":
        quick = torch.cuda.get_device_capability(device) >= (8, 0) if device.type == "cuda" else bool(processor_flags() & BF16_FLAGS)
        return torch.bfloat16 if quick else torch.float32
    if precision == "float16" and device.type == "cpu":
        raise JobError("hyperparameter precision=float16 needs a GPU; on this machine set bfloat16 or float32")
    return PRECISIONS[precision]
