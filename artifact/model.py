"""The artifact's files, written and read in one place.

    model.json         the description: classes, preprocessing, network, accuracy, provenance
    model.onnx         the graph: uint8 NHWC pixels in, probabilities out
    model.int8.xml     the graph in int8 (OpenVINO), with model.int8.bin; if it passed the gate
    model.safetensors  the weights, to train again from and for engines that rebuild the network
    model.known.safetensors
                       the classes' mean features, for the score behind `known`; the graphs hold
                       them, too. Without it answers have no `known`
    model.probe.npz    a few photos as pixels, with the float model's answers (engines/probe.py)
    model.reference.npz  numbers of the training's photos (artifact/drift_reference.py)

It knows nothing of engines or torch: `artifact.export` makes the graph, and
`artifact.engines.choice` opens an engine that runs it.
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
from typing import Any, BinaryIO

from artifact.description_values import check_values, shown
from artifact.photos.decoder import DECODER
from artifact.photos.preprocessing import Preprocessing
from artifact.text.json_text import read_json
from artifact.text.names import printable

FORMAT_VERSION = 1
OWN_NETWORK = "own/"  # begins the architecture of a network that is in no library
FIRST_DECODER = 1  # of model.json without a number
DESCRIPTION_FILE = "model.json"
GRAPH_FILE = "model.onnx"
INT8_FILE = "model.int8.xml"
INT8_WEIGHTS_FILE = "model.int8.bin"
WEIGHTS_FILE = "model.safetensors"
KNOWN_FILE = "model.known.safetensors"
PROBE_FILE = "model.probe.npz"
TEMPORARY_SUFFIX = ".slipway-tmp"
DESCRIPTION_BYTES = 32_000_000  # of model.json; 50,000 classes take about one
DESCRIPTION_VALUES = 500_000
SHOWN_FILES = 10  # in a sentence

Json = dict[str, Any]  # Any: training writes these, and readers take single figures out


class ArtifactError(ValueError):
    """A model directory that cannot be used; the text names file, found and expected."""


class MissingFile(ArtifactError):
    """A file that is not there. brief: the text without the names of those that are there.

    Whoever may ask a server to load a folder must not learn by that what the folder holds.
    """

    def __init__(self, directory: Path, name: str):
        expected = "expected the files that training wrote to its model directory"
        missing = f"'{directory}' holds no {name}"
        self.brief = f"{missing}; {expected}"
        super().__init__(f"{missing}; found: {_shown_files(directory)}; {expected}")


@dataclass(frozen=True)
class Description:
    """All of model.json.

    classes: the names of the classes, in the order of the network's outputs. preprocessing: from a
    photo to pixels. architecture: the name of the network in torchvision or timm, or own/NAME for a
    user's own, which only its graph knows. head: sizes of the head's hidden layers. multi_label: a
    photo may have several labels, and each class has a probability of its own. flip_average: the
    logits are the mean of those of a photo and of its mirror image.
    accuracy: fractions, by channel. temperature: divides the logits before softmax. quantization:
    whether the int8 model was `kept`, and the figures that decided it; empty without the test.
    calibration: the error of the probabilities before and after the temperature; empty without a
    temperature. provenance: hyperparameters, first weights, counts of the photos, versions of the
    packages, the commit, and `untrained` with the reason where no epoch was done. known: the score
    that tells photos like the training's from others, and its `threshold`, above which a photo is
    not known; empty without a score. probe: the number of `photos` in model.probe.npz, the kind of
    the `machine` that made it, and the `bound` within which another kind must answer in a quicker
    precision than f32, else it does without; empty without a probe. decoder: version of the decoder
    that made the pixels of the training; one without is served as 0.1.0 did. format_version:
    version of this format.
    """

    classes: tuple[str, ...]
    preprocessing: Preprocessing
    architecture: str
    head: tuple[int, ...] = ()
    multi_label: bool = False
    accuracy: dict[str, float] = field(default_factory=dict)
    temperature: float = 1.0
    quantization: Json = field(default_factory=dict)
    calibration: Json = field(default_factory=dict)
    provenance: Json = field(default_factory=dict)
    known: Json = field(default_factory=dict)
    probe: Json = field(default_factory=dict)
    decoder: int = FIRST_DECODER
    format_version: int = FORMAT_VERSION
    flip_average: bool = False

    @property
    def columns(self) -> int:
        """Of an engine's answers: one for each class, and a last one for the score."""
        return len(self.classes) + bool(self.known)

    @property
    def is_own_network(self) -> bool:
        """Whether no library builds the network, so that only its graph can be run."""
        return self.architecture.startswith(OWN_NETWORK)


def write_description(directory: Path, description: Description) -> None:
    """Write model.json, whole or not at all. Raises OSError when the directory cannot take it."""
    values = asdict(description)
    if not description.preprocessing.squeeze:
        del values["preprocessing"]["squeeze"]  # readers of earlier versions do not know it
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    write_atomically(Path(directory) / DESCRIPTION_FILE, text.encode())


def read_description(directory: Path) -> Description:
    """The description of the artifact in a directory.

    Raises ArtifactError where it is missing, damaged, or not ours.
    """
    path = Path(directory) / DESCRIPTION_FILE
    try:
        _check_present(Path(directory), DESCRIPTION_FILE, GRAPH_FILE)
        if path.stat().st_size > DESCRIPTION_BYTES:
            raise ArtifactError(f"'{path}' has more than {DESCRIPTION_BYTES / 1e6:g} MB")
        values = read_json(path.read_text(encoding="utf-8"), DESCRIPTION_VALUES)
    except ArtifactError:
        raise
    except OSError as error:
        raise ArtifactError(f"'{path}' cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ArtifactError(f"'{path}' is not readable JSON ({error})") from error
    description = _description(path, values)
    if description.quantization.get("kept"):
        _check_present(Path(directory), INT8_FILE, INT8_WEIGHTS_FILE)
    if description.probe:
        _check_present(Path(directory), PROBE_FILE)
    return description


def _check_present(directory: Path, *names: str) -> None:
    for name in names:
        if not (directory / name).is_file():
            raise MissingFile(directory, name)


def _shown_files(directory: Path) -> str:
    if not directory.is_dir():
        return "no such directory"
    return printable(", ".join(sorted(os.listdir(directory))[:SHOWN_FILES])) or "nothing"


def _description(path: Path, values: object) -> Description:
    """The description in model.json's JSON. Raises ArtifactError."""
    if not isinstance(values, dict):
        raise ArtifactError(f"'{path}' holds a {type(values).__name__}; expected an object")
    _check_fields(path, values)
    try:
        return Description(
            **{
                **values,
                "classes": tuple(values["classes"]),
                "head": tuple(int(size) for size in values.get("head", ())),
                "temperature": float(values.get("temperature", 1.0)),
                "preprocessing": Preprocessing(**values["preprocessing"]),
            }
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise ArtifactError(f"'{path}' has a value that does not work: {error}") from error


def _check_fields(path: Path, values: Json) -> None:
    """ArtifactError for the JSON of another version, and for a value of another kind."""
    version = values.get("format_version")
    if version != FORMAT_VERSION:
        raise ArtifactError(
            f"'{path}' has format_version {shown(version)}; this reader knows {FORMAT_VERSION}"
        )
    decoder = values.get("decoder", FIRST_DECODER)
    if decoder not in (FIRST_DECODER, DECODER):
        raise ArtifactError(
            f"'{path}' has decoder {shown(decoder)}; "
            f"this program knows {FIRST_DECODER} and {DECODER}"
        )
    try:
        check_values(values, {entry.name for entry in fields(Description)})
    except ValueError as error:
        raise ArtifactError(f"'{path}' {error}") from error


def write_atomically(path: Path, data: bytes, beside: Path | None = None) -> None:
    """Replace a file by data in one step. Raises OSError when the folder cannot take it."""
    with atomic_file(path, beside) as file:
        file.write(data)


@contextmanager
def atomic_file(path: Path, beside: Path | None = None) -> Iterator[BinaryIO]:
    """A file to write that takes its name in one step, at the end.

    A reader sees the old file or the whole new one. Until then it is a temporary file in the same
    folder, or in `beside`, a folder on the same disk; the file's `name` is its path.
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
        # missing: Ctrl-C may come after the file has taken its name
        Path(temporary).unlink(missing_ok=True)
        raise
    _keep_name(path.parent)


def _keep_name(folder: Path) -> None:
    """Have a folder's new names survive a power cut, on file systems that can promise it."""
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
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)  # another process may be quicker
