"""Files of weights, as training scripts write them, read without running code of theirs."""

import argparse
import re
import warnings
import zipfile
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from train.job import JobError
from train.model.weight_folder import is_index, parts_of
from train.model.weight_names import Weights, bare_names, within

LFS = b"version https://git-lfs"  # how the pointer begins that stands in for a file
SAFETENSORS_HEADER = 8  # bytes of its size, before its JSON


def read_weights(path: Path) -> Weights:
    """The weights in a file, or in those of an index, by their names in the bare network.

    JobError where it has none.
    """
    if is_index(path):
        parts: dict[str, torch.Tensor] = {}
        for part in parts_of(path):
            parts |= read_weights(part)
        return parts
    try:
        content = _load(path)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise JobError(f"the weights file '{path}' does not exist") from error
    except safetensors.SafetensorError as error:
        raise JobError(f"'{path}' is not a file of weights ({error})") from error
    state = within(content)
    if state is None:
        kind = f"a {type(content).__name__}"
        if isinstance(content, dict):
            kind = ", ".join(repr(key) for key in list(content)[:8]) or "nothing"
        raise JobError(f"'{path}' holds no weights: expected names and tensors, found {kind}")
    return bare_names(state)


def _load(path: Path) -> object:
    with path.open("rb") as file:
        first = file.read(SAFETENSORS_HEADER + 1)
    # by its content: files are renamed
    if first[SAFETENSORS_HEADER:] == b"{":
        return safetensors.torch.load_file(path)
    return read_tensors(path, "a file of weights", mapped=True)


def read_tensors(path: Path, expected: str, mapped: bool = False) -> object:
    """The object that torch.save wrote to a file, tensors on the CPU. Runs no code of the file.

    JobError when it is not `expected`. mapped: the tensors may be the file itself, read when they
    are used, where its form allows that.
    """
    mapped = mapped and zipfile.is_zipfile(path)
    # torchvision's and DeiT's scripts keep their options beside the weights
    options = torch.serialization.safe_globals([argparse.Namespace])
    try:
        with options, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch warns of, the sentences below say
            content: object = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        return content
    except (OSError, MemoryError):
        raise
    except Exception as error:  # the unpickler raises nearly anything on damaged files
        if "can't allocate memory" in str(error):
            raise
        raise JobError(_refusal(path, expected, str(error))) from error


def _refusal(path: Path, expected: str, text: str) -> str:
    """Why a file is not read; torch's own words are advice to run the file's code."""
    kept = re.search(r"GLOBAL (\S+)", text)
    if kept:
        return (
            f"'{path}' is not {expected} alone: it holds a {kept[1]}, and reading that could run "
            "code of the file; save the tensors only: torch.save(model.state_dict(), file)"
        )
    if "TorchScript" in text:
        return (
            f"'{path}' is not {expected} but a TorchScript program; "
            "save its tensors: torch.save(model.state_dict(), file)"
        )
    with path.open("rb") as file:
        pointer = file.read(len(LFS)) == LFS
    if pointer:
        return f"'{path}' is not {expected} but a pointer of Git LFS; fetch the file: git lfs pull"
    return f"'{path}' is not {expected} (damaged, or not written by torch.save)"
