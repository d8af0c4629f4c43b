"""The artifact's files: model.json and what stands beside it, written and read in one place.

    model.json         what the model is: classes, preprocessing, network, accuracy, provenance
    model.onnx         uint8 NHWC pixels in, probabilities out
    model.int8.xml     the graph quantized to int8 (OpenVINO), with model.int8.bin; only where its accuracy passed the gate
    model.safetensors  the weights, to train again from and for engines that rebuild the network

Knows nothing of engines or torch: `artifact.export` makes the graph, `artifact.engines` runs it.
"""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import BinaryIO

from artifact.preprocessing import Preprocessing

FORMAT_VERSION = 1
DESCRIPTION_FILE = "model.json"
GRAPH_FILE = "model.onnx"
INT8_FILE, INT8_WEIGHTS_FILE = "model.int8.xml", "model.int8.bin"
WEIGHTS_FILE = "model.safetensors"
TEMPORARY_SUFFIX = ".slipway-tmp"


class ArtifactError(ValueError):
    """A model directory that cannot be used; the text names the file, what was found and what was expected."""


@dataclass(frozen=True)
class Description:
    """All of model.json. `accuracy` holds fractions by channel; `temperature` divides the logits before softmax.

    multi_label: a photo may have several labels, and each class has a probability of its own. quantization: whether the
    int8 model was `kept`, and the accuracies that decided it. calibration: the error of the probabilities before and after
    the temperature. Both are empty where training did neither.
    """

    classes: tuple[str, ...]
    preprocessing: Preprocessing
    architecture: str
    head: tuple[int, ...] = ()
    multi_label: bool = False
    accuracy: dict = field(default_factory=dict)
    temperature: float = 1.0
    quantization: dict = field(default_factory=dict)
    calibration: dict = field(default_factory=dict)
    provenance: dict = field(default_factory=dict)
    format_version: int = FORMAT_VERSION


def write_description(directory: Path, description: Description) -> None:
    """Write model.json, whole or not at all. OSError when the directory cannot take it."""
    text = json.dumps(asdict(description), indent=2, ensure_ascii=False) + "\n"
    write_atomically(Path(directory) / DESCRIPTION_FILE, text.encode())


def read_description(directory: Path) -> Description:
    """The description of the artifact in a directory; ArtifactError for a missing, foreign or damaged one."""
    path = Path(directory) / DESCRIPTION_FILE
    try:
        _check_present(Path(directory), DESCRIPTION_FILE, GRAPH_FILE)
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArtifactError(f"'{path}' cannot be read ({error.strerror})") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"'{path}' is not readable JSON ({error})") from error
    description = _description(path, values)
    if description.quantization.get("kept"):
        _check_present(Path(directory), INT8_FILE, INT8_WEIGHTS_FILE)
    return description


def _check_present(directory: Path, *names: str) -> None:
    for name in names:
        if not (directory / name).is_file():
            found = (
                ", ".join(sorted(os.listdir(directory))[:10])
                if directory.is_dir()
                else "no such directory"
            )
            raise ArtifactError(
                f"'{directory}' holds no {name}; found: {found or 'nothing'}; "
                "expected the files that training wrote to its model directory"
            )


def _description(path: Path, values: object) -> Description:
    if not isinstance(values, dict):
        raise ArtifactError(f"'{path}' holds a {type(values).__name__}; expected an object")
    version = values.get("format_version")
    if version != FORMAT_VERSION:
        raise ArtifactError(
            f"'{path}' has format_version {version!r}; this reader knows {FORMAT_VERSION}"
        )
    known = {entry.name for entry in fields(Description)}
    missing = {"classes", "preprocessing", "architecture"} - values.keys()
    if missing or values.keys() - known:
        raise ArtifactError(
            f"'{path}' has fields {', '.join(sorted(values))}; expected {', '.join(sorted(known))}"
        )
    classes = values["classes"]
    if (
        not isinstance(classes, list)
        or not all(isinstance(name, str) for name in classes)
        or not 2 <= len(classes) == len(set(classes))
    ):
        raise ArtifactError(
            f"'{path}' has classes {classes!r}; expected a list of two or more different names"
        )
    for name in ("quantization", "calibration"):
        if not isinstance(values.get(name, {}), dict):
            raise ArtifactError(f"'{path}' has {name} {values[name]!r}; expected an object")
    try:
        return Description(
            **{
                **values,
                "classes": tuple(classes),
                "head": tuple(int(size) for size in values.get("head", ())),
                "temperature": float(values.get("temperature", 1.0)),
                "preprocessing": Preprocessing(**values["preprocessing"]),
            }
        )
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"'{path}' has a value that does not work: {error}") from error


def write_atomically(path: Path, data: bytes, beside: Path | None = None) -> None:
    """Replace a file by data in one step. OSError when the folder cannot take it."""
    with atomic_file(path, beside) as file:
        file.write(data)


@contextmanager
def atomic_file(path: Path, beside: Path | None = None) -> Iterator[BinaryIO]:
    """A file to write that takes its name in one step, at the end: a reader sees the old file or the whole new one.

    Until then it is a temporary file in the same folder, or in `beside`, a folder on the same disk; `name` is its path.
    """
    path = Path(path)
    handle, temporary = tempfile.mkstemp(
        dir=beside or path.parent, prefix=f".{path.name}.", suffix=TEMPORARY_SUFFIX
    )
    os.close(handle)
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)  # Ctrl-C may come when it has its name already
        raise
    _keep_name(path.parent)


def _keep_name(folder: Path) -> None:
    """Have a folder's new names outlive a power cut; file systems that cannot promise that are taken as they are."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def discard_unfinished(folder: Path) -> None:
    """Remove the temporary files and folders that killed writers left in a folder."""
    for path in Path(folder).glob(f".*{TEMPORARY_SUFFIX}"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
