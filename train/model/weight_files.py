"""Files of weights, as training scripts write them, read without running code of theirs."""

import argparse
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from artifact.model import KNOWN_FILE
from train.job import JobError

# .ckpt is Lightning's, .pth.tar that of PyTorch's ImageNet example, .bin Hugging Face's.
WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".pth.tar", ".bin")
# Under which training scripts keep the weights beside their optimizer.
WITHIN = ("state_dict", "model_state_dict", "model")
COMPILED = "_orig_mod."  # torch.compile's wrapper, at any depth
PARALLEL = "module."  # DistributedDataParallel's
LIGHTNING = "model."  # what most Lightning modules call their network

Weights = Mapping[str, torch.Tensor]  # by name in the network's state


def only_weights_file(folder: Path) -> Path:
    """The weights file in a folder. JobError where there is none, or more than one.

    Of an artifact of ours it is model.safetensors.
    """
    named = (path for path in folder.rglob("*") if path.name.endswith(WEIGHT_SUFFIXES))
    found = sorted(path for path in named if path.name != KNOWN_FILE)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        suffixes = ", ".join(WEIGHT_SUFFIXES)
        raise JobError(
            f"the channel '{folder}' must hold one weights file ({suffixes}); found: {names}"
        )
    return found[0]


def read_weights(path: Path) -> Weights:
    """The weights in a file, by their names in the bare network. JobError where it has none."""
    try:
        state = _load(path)
    except FileNotFoundError as error:
        raise JobError(f"the weights file '{path}' does not exist") from error
    except safetensors.SafetensorError as error:
        raise JobError(f"'{path}' is not a file of weights ({error})") from error
    state = _within(state)
    if not isinstance(state, dict):
        raise JobError(f"'{path}' holds no weights: expected names and tensors")
    if not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise JobError(f"'{path}' holds no weights: expected names and tensors")
    return bare_names(state)


def _within(state: object) -> object:
    """The names and tensors inside a training script's checkpoint."""
    while isinstance(state, dict):
        inner = next((state[key] for key in WITHIN if isinstance(state.get(key), dict)), None)
        if inner is None:
            break
        state = inner
    return state


def bare_names(state: Weights) -> Weights:
    """Weights without the wrappers' parts of their names.

    A Lightning module's other parts, such as a loss with weights, are left out.
    """
    bare = {name.replace(COMPILED, "").removeprefix(PARALLEL): state[name] for name in state}
    wrapped = {name: value for name, value in bare.items() if name.startswith(LIGHTNING)}
    if len(wrapped) <= len(bare) / 2:
        return bare
    inner = {name.removeprefix(LIGHTNING): value for name, value in wrapped.items()}
    return bare_names(inner)


def _load(path: Path) -> object:
    if path.suffix == ".safetensors":
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
    return f"'{path}' is not {expected} (damaged, or not written by torch.save)"
