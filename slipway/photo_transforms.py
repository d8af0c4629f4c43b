"""What torchvision, timm or a dict says of the way from a photo to a network, as Preprocessing.

Objects are known by the names of their classes: neither library is loaded for it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from artifact.photos.preprocessing import Preprocessing
from slipway.export_error import ExportError

Form = Any  # Any: objects of libraries that are not loaded

NAMES = [entry.name for entry in fields(Preprocessing)]
TIMM = "input_size"  # the key that only timm's configurations have
# mean and std where nothing is normalised
WITHOUT: tuple[Form, Form] = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
FORMS = (
    "expected a dict with resize and crop, torchvision's transforms of the validation, "
    "or timm's data configuration"
)
# Of torchvision: from a photo to a tensor, and what else changes no sample.
TO_TENSOR = ("ToTensor", "PILToTensor", "ToImage", "ToImageTensor", "ToPureTensor")
SCALING = ("ToTensor", "ConvertImageDtype", "ConvertDtype")


def as_preprocessing(given: Form) -> Preprocessing:
    """The same as Preprocessing. Raises ExportError for what it cannot express."""
    try:
        if isinstance(given, Preprocessing) or type(given).__name__ == "Preprocessing":
            return Preprocessing(*(getattr(given, name) for name in NAMES))
        if is_dataclass(given) and hasattr(given, TIMM):  # timm's PretrainedCfg
            return of_timm({entry.name: getattr(given, entry.name) for entry in fields(given)})
        if isinstance(given, Mapping):
            return of_timm(given) if TIMM in given else of_dict(given)
        if hasattr(given, "crop_size") and hasattr(given, "resize_size"):
            return of_preset(given)
        steps = getattr(given, "transforms", None)
        if isinstance(steps, Sequence):
            return of_steps(steps)
    except (TypeError, ValueError, IndexError) as error:
        if isinstance(error, ExportError):
            raise
        raise ExportError(f"preprocessing: {error}; {FORMS}") from error
    raise ExportError(f"preprocessing is a {type(given).__name__}; {FORMS}")


def of_dict(given: Mapping[str, Any]) -> Preprocessing:
    unknown = sorted(set(map(str, given)) - set(NAMES))
    if unknown:
        raise ExportError(
            f"preprocessing has '{unknown[0]}', which is not one of {', '.join(NAMES)}"
        )
    missing = {"resize", "crop"} - set(given)
    if missing:
        raise ExportError(f"preprocessing lacks {' and '.join(sorted(missing))}, in pixels")
    return Preprocessing(**given)


def of_timm(given: Mapping[str, Any]) -> Preprocessing:
    """As timm.data.create_transform does for the validation."""
    channels, height, width = given[TIMM]
    if channels != 3 or height != width:
        raise ExportError(
            f"preprocessing has input_size {tuple(given[TIMM])}; expected (3, side, side)"
        )
    mode = given.get("crop_mode") or "center"
    share = given.get("crop_pct") or 0.875
    if mode not in ("center", "squash"):
        raise ExportError(
            f"preprocessing has crop_mode '{mode}'; the artifact cuts a square from the centre"
        )
    interpolation = given.get("interpolation") or "bilinear"
    return Preprocessing(
        max(width, math.floor(width / share)),
        width,
        "bicubic" if interpolation == "random" else interpolation,
        tuple(given["mean"]),
        tuple(given["std"]),
        squeeze=mode == "squash",
    )


def of_preset(given: Form) -> Preprocessing:
    """torchvision's `weights.transforms()`."""
    crop = side_of(given.crop_size)
    resize = max(crop, side_of(given.resize_size))
    mean = tuple(given.mean)
    return Preprocessing(resize, crop, filter_of(given), mean, tuple(given.std))


def of_steps(steps: Sequence[Form]) -> Preprocessing:
    """torchvision's Compose, or a Sequential of its transforms."""
    found: dict[str, Form] = {}
    for step in steps:
        name = type(step).__name__
        known = (*TO_TENSOR, *SCALING, "ToDtype", "Resize", "CenterCrop", "Normalize")
        if name not in known:
            raise ExportError(
                f"preprocessing has {name}, which the artifact cannot do; expected Resize, "
                "CenterCrop, ToTensor and Normalize, as for the validation"
            )
        found[name] = step
    if not scales(found):
        raise ExportError(
            "preprocessing leaves samples from 0 to 255; the artifact scales them to 0 to 1, "
            "as ToTensor() does"
        )
    mean, std = WITHOUT
    if "Normalize" in found:
        mean = tuple(float(value) for value in found["Normalize"].mean)
        std = tuple(float(value) for value in found["Normalize"].std)
    resize, squeeze = size_of(found)
    crop = side_of(found["CenterCrop"].size) if "CenterCrop" in found else resize
    return Preprocessing(resize, crop, filter_of(found["Resize"]), mean, std, squeeze)


def size_of(found: Mapping[str, Form]) -> tuple[int, bool]:
    """Pixels of the shorter side, and whether photos are squeezed to a square of that side.

    ExportError where photos would stay oblong.
    """
    size: Form = getattr(found.get("Resize"), "size", 0)
    squeeze = isinstance(size, Sequence) and len(size) == 2
    needed = ["Resize"] if squeeze else ["Resize", "CenterCrop"]
    missing = [name for name in needed if name not in found]
    if missing:
        raise ExportError(
            f"preprocessing lacks {' and '.join(missing)}; expected Resize(side), "
            "CenterCrop(side), ToTensor() and Normalize(mean, std), or Resize((side, side))"
        )
    return side_of(size), squeeze


def scales(found: Mapping[str, Form]) -> bool:
    """Whether samples of 0 to 255 become samples of 0 to 1."""
    by_dtype = "ToDtype" in found and bool(getattr(found["ToDtype"], "scale", False))
    return by_dtype or any(name in found for name in SCALING)


def side_of(size: Form) -> int:
    """Pixels of a side. ExportError for an oblong."""
    sides = list(size) if isinstance(size, Sequence) else [size]
    if len(set(sides)) != 1:
        raise ExportError(f"preprocessing has the size {tuple(sides)}; expected a square")
    return int(sides[0])


def filter_of(given: Form) -> str:
    """The name of an InterpolationMode, which torchvision has as text in its value."""
    value = getattr(given.interpolation, "value", given.interpolation)
    return str(value)
