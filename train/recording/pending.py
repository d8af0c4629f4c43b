"""Tensors of a step that wait on the device until they are written together."""

import numpy as np
import torch
from smdebug.core.modes import ModeKeys

from train.recording.event_files import EventFiles


class PendingTensors:
    """Named tensors in the order in which they were added."""

    def __init__(self) -> None:
        self._tensors: list[tuple[str, torch.Tensor]] = []

    def __len__(self) -> int:
        return len(self._tensors)

    def add(self, name: str, value: torch.Tensor) -> None:
        self._tensors.append((name, value))

    def write(self, writer: EventFiles, mode: ModeKeys, mode_step: int) -> None:
        """Write and forget them; all of one type are copied from the device at once."""
        for dtype in {value.dtype for _, value in self._tensors}:
            entries = [entry for entry in self._tensors if entry[1].dtype == dtype]
            flat = torch.cat([value.reshape(-1) for _, value in entries]).cpu().numpy()
            ends = np.cumsum([value.numel() for _, value in entries])
            parts = np.split(flat, ends[:-1])
            for (name, value), part in zip(entries, parts, strict=True):
                values = part.reshape(value.shape)
                writer.write_tensor(values, name, mode=mode, mode_step=mode_step)
        self._tensors = []
