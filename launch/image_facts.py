"""What a pushed image is: its architecture, its CUDA and the GPUs that it has kernels for.

build_and_push.sh writes it beside the images' URIs, so that `launch check` can compare images and
machines without fetching the images.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from artifact.text.json_text import read_json

FILE = "image-facts.json"
# What build_and_push.sh appends to the name and the tag of an image that is not the default one.
VARIANT = re.compile(r"-(cuda(?P<cuda>\d+)|arm64)$")


@dataclass(frozen=True)
class ImageFacts:
    """cuda: such as "12.8", or "" without CUDA. gpus: compute capabilities, such as "8.6"."""

    architecture: str = ""
    cuda: str = ""
    gpus: tuple[str, ...] = ()


def image_kind(name: str) -> str:
    """The image that a name in images.json stands for: serve-gpu for serve-gpu-cuda13."""
    return VARIANT.sub("", name)


def push_command(name: str) -> str:
    """What makes and pushes the image that a name stands for."""
    variant = VARIANT.search(name)
    setting = ""
    if variant:
        setting = f"CUDA={variant['cuda']} " if variant["cuda"] else "ARCH=arm64 "
    return f"{setting}./build_and_push.sh {image_kind(name)}"


def facts_in(text: str) -> ImageFacts:
    """The facts in ARCHITECTURE|CUDA|GPUS, as an engine prints them from an image's labels.

    GPUS are torch's words, such as "sm_75 sm_80 compute_120".
    """
    architecture, cuda, words = (text.split("|") + ["", ""])[:3]
    gpus = []
    for word in words.split():
        name, _, number = word.partition("_")
        # sm_100 is 10.0; a letter at the end, as in sm_90a, names a variant
        if name == "sm" and number.isdigit():
            gpus.append(f"{number[:-1]}.{number[-1]}")
    return ImageFacts(architecture, cuda.replace("<no value>", ""), tuple(gpus))


def note(images: Path, uri: str, facts: ImageFacts) -> None:
    """Keep an image's facts, by its URI, beside the file of URIs."""
    # Loads numpy and Pillow, which most commands do without.
    from artifact.model import write_atomically

    path = images.with_name(FILE)
    known = _read(path)
    known[uri] = asdict(facts)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(known, indent=2, sort_keys=True).encode() + b"\n")


def noted(images: Path, name: str, uri: str) -> ImageFacts:
    """The facts of an image. Where it was not pushed from here, only what its name says."""
    found = _read(images.with_name(FILE)).get(uri)
    if not isinstance(found, dict):
        return named(name)
    return ImageFacts(
        str(found.get("architecture", "")),
        str(found.get("cuda", "")),
        tuple(map(str, found.get("gpus", ()))),
    )


def named(name: str) -> ImageFacts:
    """What the name of an image says of it, where it is not the default one."""
    variant = VARIANT.search(name)
    if variant is None:
        return ImageFacts()
    if variant["cuda"] is None:
        return ImageFacts("arm64")
    return ImageFacts(cuda=variant["cuda"])


def _read(path: Path) -> dict[str, object]:
    try:
        document = read_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
