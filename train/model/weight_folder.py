"""Which file of a folder has a network's weights, and weights in several files with an index."""

import hashlib
import json
from pathlib import Path

from artifact.model import KNOWN_FILE
from recipes.published import WEIGHT_SUFFIXES
from train.job import JobError

INDEX_SUFFIXES = (".safetensors.index.json", ".bin.index.json")  # Hugging Face's, of several files
# What Hugging Face's trainer keeps beside the weights, by how the names begin.
BESIDE = ("optimizer.", "scheduler.", "scaler.", "training_args.", "rng_state", KNOWN_FILE)
# The same weights in two forms: the second is left out.
TWINS = ("model.safetensors", "pytorch_model.bin")


def only_weights_file(folder: Path) -> Path:
    """The weights file in a folder, or the index of several.

    Of an artifact of ours it is model.safetensors. JobError where there is none, or more than one.
    """
    found = sorted(path for path in folder.rglob("*") if _may_be_weights(path, folder))
    parts = {part for path in found if is_index(path) for part in parts_of(path)}
    found = [path for path in found if path not in parts]
    first, second = TWINS
    if any(path.name.startswith(first) for path in found):
        found = [path for path in found if not path.name.startswith(second)]
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        suffixes = ", ".join(WEIGHT_SUFFIXES)
        raise JobError(
            f"the folder '{folder}' must hold one weights file ({suffixes}); found: {names}"
        )
    return found[0]


def _may_be_weights(path: Path, folder: Path) -> bool:
    name = path.name.lower()
    if not name.endswith(WEIGHT_SUFFIXES + INDEX_SUFFIXES) or name.startswith(BESIDE):
        return False
    # such as ._weights.pth, which macOS writes beside each file
    return not any(part.startswith(".") for part in path.relative_to(folder).parts)


def is_index(path: Path) -> bool:
    return path.name.lower().endswith(INDEX_SUFFIXES)


def parts_of(index: Path) -> list[Path]:
    """The files that an index names, all beside it. JobError where it names no such files."""
    try:
        names = set(json.loads(index.read_bytes())["weight_map"].values())
        if not names or not all(Path(name).name == name for name in names):
            raise ValueError("it names no files beside it")
        paths = sorted(index.with_name(name) for name in names)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise JobError(f"'{index}' is not an index of weights files ({error})") from error
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise JobError(f"'{index}' names '{missing[0]}', which is not there")
    return paths


def digest(path: Path) -> str:
    """The SHA-256 of a weights file; of an index that of its files' digests."""
    if is_index(path):
        digests = [digest(part) for part in parts_of(path)]
        return hashlib.sha256("".join(digests).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
