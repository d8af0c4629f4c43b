"""From a user's own trained network to the artifact, with every doubt in one sentence."""

import contextlib
import copy
import importlib.metadata
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from artifact import export as artifact_export
from artifact.engines.choice import open_engine
from artifact.engines.int8_gate import Judgement
from artifact.engines.probe import probe_facts, probe_rows
from artifact.engines.quantization import quantize
from artifact.model import OWN_NETWORK, ArtifactError, Description, write_description
from artifact.photos.decoder import DECODER
from artifact.text.names import is_text, printable
from slipway.export_error import ExportError
from slipway.export_photos import Judges, chosen_photos
from slipway.photo_transforms import as_preprocessing

SAMPLES = 4  # pictures on which the artifact is compared with the network
PROBES = 8  # pictures of noise that tell probabilities from logits
PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "openvino", "onnx", "nncf")
SHOWN = 200  # letters of another library's error

log = logging.getLogger("slipway.export")


@dataclass(frozen=True)
class Wanted:
    """What the user says of the network. preprocessing: in any of the forms of slipway.export."""

    classes: Sequence[str]
    preprocessing: Any  # Any: objects of other libraries
    multi_label: bool


def export_network(
    network: torch.nn.Module, wanted: Wanted, photos: Path | None, directory: Path
) -> Path:
    """Write the artifact. Raises ExportError, OSError; see slipway.export."""
    if not isinstance(network, torch.nn.Module):
        raise ExportError(
            f"network must be a torch.nn.Module, found {type(network).__name__}; "
            "give the model itself, not its state_dict"
        )
    classes = checked_classes(wanted.classes)
    preprocessing = as_preprocessing(wanted.preprocessing)
    own = own_copy(network)
    check_network(own, len(classes), preprocessing.crop, wanted.multi_label)
    judges = chosen_photos(photos, classes, preprocessing)
    description = Description(
        classes,
        preprocessing,
        OWN_NETWORK + type(own).__name__,
        multi_label=wanted.multi_label,
        decoder=DECODER,
        provenance=provenance(judges),
    )
    samples = judges.pixels[:SAMPLES] if len(judges.pixels) else noise(preprocessing.crop, SAMPLES)
    probe = judges.pixels[probe_rows(len(judges.pixels), preprocessing.crop, description.columns)]
    description = replace(description, probe=probe_facts(probe))
    with as_export_errors(own):
        artifact_export.export(own, description, directory, samples, probe=probe)
    description = replace(description, quantization=int8(directory, description, judges))
    description = artifact_export.bounded_by_int8(directory, description)
    write_description(directory, description)
    log.info("artifact: %s", directory)
    return directory


def checked_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """The names. ExportError unless they are two or more different texts in a list."""
    if isinstance(classes, str | Mapping) or not isinstance(classes, Sequence):
        raise ExportError(
            f"classes must be a list of names in the order of the network's outputs, "
            f"found a {type(classes).__name__}"
        )
    for name in classes:
        if not isinstance(name, str) or not name.strip() or not is_text(name):
            raise ExportError(f"classes must be names, found {name!r}")
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise ExportError(f"classes must be two or more different names, found {list(classes)}")
    return tuple(classes)


def own_copy(network: torch.nn.Module) -> torch.nn.Module:
    """A copy on the CPU, in eval, in float32; without wrappers and without smdebug's hooks."""
    wrappers = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
    while isinstance(network, wrappers):
        network = network.module
    with without_debugger(network):
        try:
            copied = copy.deepcopy(network)
        except (RuntimeError, TypeError) as error:
            raise ExportError(
                f"the network {type(network).__name__} cannot be copied ({brief(error)}); "
                "keep no tensors of a step and no open files in it"
            ) from error
    copied.requires_grad_(False)
    return copied.cpu().float().eval()


@contextlib.contextmanager
def without_debugger(network: torch.nn.Module) -> Iterator[None]:
    """Within it the modules lack smdebug's hooks, which would save tensors of the export."""
    taken: list[tuple[dict[int, Any], dict[int, Any]]] = []
    for module in network.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            whole: dict[int, Any] = dict(hooks)
            kept = {key: hook for key, hook in whole.items() if not is_debugger(hook)}
            if len(kept) < len(whole):
                taken.append((hooks, whole))
                hooks.clear()
                hooks.update(kept)
    try:
        yield
    finally:
        for hooks, whole in taken:
            hooks.clear()
            hooks.update(whole)


def is_debugger(hook: Callable[..., object]) -> bool:
    owner = getattr(hook, "__self__", hook)
    return type(owner).__module__.partition(".")[0] == "smdebug"


def check_network(network: torch.nn.Module, classes: int, side: int, multi_label: bool) -> None:
    """ExportError unless it gives a logit for each class of square pictures of `side` pixels."""
    with as_export_errors(network):
        artifact_export.check_exportable(network, side)
        pixels = torch.from_numpy(noise(side, PROBES)).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            answers = network(pixels)
    if not isinstance(answers, torch.Tensor):
        raise ExportError(
            f"the network must give one tensor of logits, found a {type(answers).__name__}; "
            "give a network whose forward returns the logits alone"
        )
    if answers.shape != (PROBES, classes):
        shape = list(answers.shape)
        raise ExportError(
            f"the network gives {shape} for {PROBES} photos, and there are {classes} classes; "
            f"expected [{PROBES}, {classes}], one output for each class"
        )
    in_range = bool(((answers >= 0) & (answers <= 1)).all())
    if in_range and not multi_label and bool(((answers.sum(1) - 1).abs() < 1e-4).all()):
        raise ExportError(
            "the network gives probabilities already; give it without its softmax, "
            "since the artifact has one of its own"
        )


def noise(side: int, count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Random pixels, the same in each call, uint8 [count, side, side, 3]."""
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


@contextlib.contextmanager
def as_export_errors(network: torch.nn.Module) -> Iterator[None]:
    """What torch, ONNX or OpenVINO raise for a network becomes one sentence."""
    try:
        yield
    except (ExportError, OSError, MemoryError):
        raise
    except Exception as error:  # any: the network's own code may raise what it likes
        raise ExportError(
            f"the network {type(network).__name__} cannot be exported ({brief(error)})"
        ) from error


def brief(error: Exception) -> str:
    """Its first line, shortened."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return printable(lines[0][:SHOWN])


def int8(directory: Path, description: Description, judges: Judges) -> dict[str, object]:
    """Write the int8 model where it passes its gate; model.json's figures of it."""

    def judge(described: Description, precision: str) -> Judgement | None:
        with contextlib.closing(open_engine(directory, described, precision)) as engine:
            columns = [engine.run(judges.pixels[index : index + 1]) for index in range(count)]
        answers = np.concatenate(columns)
        if description.multi_label:
            said = answers > 0.5
            hit = said[np.arange(count), judges.labels]
            return Judgement(said, hit)
        best = answers.argmax(axis=1)
        return Judgement(best, best == judges.labels)

    count = len(judges.labels)
    try:
        return quantize(directory, description, judges.paths, count, judge, stop=lambda: False)
    except ArtifactError as error:
        return {"kept": False, "reason": str(error)}


def provenance(judges: Judges) -> dict[str, object]:
    """The model's origin for model.json: whose it is, what it was judged on, versions, commit."""
    return {
        "exported_by": "slipway.export",
        "judged_on": judges.source,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "git_commit": os.environ.get("SLIPWAY_GIT_COMMIT", "unknown"),
    }
