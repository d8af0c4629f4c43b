"""A user's own inference code beside a model, as SageMaker's SDK asks for it by the environment.

It runs only in slipway-serve-mms-torch, and there only where SAGEMAKER_PROGRAM names it. The other
images serve the artifact alone, and say so.
"""

import importlib.metadata
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from artifact.model import ArtifactError
from artifact.text.names import printable
from serve.settings import SettingsError

PROGRAM = "SAGEMAKER_PROGRAM"
SUBMIT_DIRECTORY = "SAGEMAKER_SUBMIT_DIRECTORY"
CODE = "code"  # below the model's folder, in the SDK's layout
USUAL = "/opt/ml/model/code"  # how the SDK names it
REQUIREMENTS = "requirements.txt"
REQUIREMENTS_BYTES = 64 * 1024
MOST_REQUIREMENTS = 1000  # looking for a package takes a third of a millisecond
SHOWN = 500  # letters of what is missing
MODULE = re.compile(r"[A-Za-z_]\w*\.py")
IMAGE = "slipway-serve-mms-torch"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UserCode:
    """program: the file with model_fn and its like. submitted: its folder; None for the model's."""

    program: str
    submitted: Path | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "UserCode | None":
        """What the environment names; None for nothing. Raises SettingsError."""
        program = environment.get(PROGRAM, "").strip()
        if not program:
            return None
        if not MODULE.fullmatch(program):
            raise SettingsError(
                f"{PROGRAM} must be the name of a Python file in the model's folder {CODE}/, "
                f"such as inference.py, found '{program}'"
            )
        place = environment.get(SUBMIT_DIRECTORY, "").strip().removeprefix("file://")
        if "://" in place:
            raise SettingsError(
                f"{SUBMIT_DIRECTORY} is '{place}'; this image fetches no code: "
                f"pack it into model.tar.gz as {CODE}/{program}, as the SDK does"
            )
        if not place or place.rstrip("/") == USUAL:
            return cls(program)
        return cls(program, Path(place))

    def folder(self, model: Path) -> Path:
        """The folder of the code that goes with a model."""
        return self.submitted or model / CODE

    def check(self, model: Path) -> None:
        """Raise ArtifactError unless the code is there, and all that it requires."""
        folder = self.folder(model)
        if not (folder / self.program).is_file():
            raise ArtifactError(
                f"'{folder}' holds no {self.program}, which {PROGRAM} names; "
                f"expected model.tar.gz with {CODE}/{self.program}"
            )
        missing = missing_requirements(folder / REQUIREMENTS)[:SHOWN]
        if missing:
            raise ArtifactError(
                f"'{folder / REQUIREMENTS}' asks for '{printable(missing)}', which this image does "
                "not have, and a server installs nothing while it starts: build the image with "
                f"REQUIREMENTS='{printable(missing)}'"
            )


def missing_requirements(path: Path) -> str:
    """The lines of a requirements.txt that are not met here, in one; empty where all are.

    A line that is no plain requirement, such as an address, is not met. Raises ArtifactError for a
    file that is far larger than lists of packages are.
    """
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        content = file.read(REQUIREMENTS_BYTES + 1)
    lines = content.decode("utf-8", "replace").splitlines()
    if len(content) > REQUIREMENTS_BYTES or len(lines) > MOST_REQUIREMENTS:
        raise ArtifactError(
            f"'{path}' has more than {REQUIREMENTS_BYTES:,} bytes or {MOST_REQUIREMENTS:,} lines"
        )
    lines = [line.partition(" #")[0].strip() for line in lines]
    wanted = [line for line in lines if line and not line.startswith("#")]
    return " ".join(line.replace(" ", "") for line in wanted if not is_met(line))


def is_met(line: str) -> bool:
    """Whether the package of a line of requirements.txt is installed in a version that it takes."""
    from packaging.requirements import Requirement

    try:
        wanted = Requirement(line)
        if wanted.marker and not wanted.marker.evaluate():
            return True
        version = importlib.metadata.version(wanted.name)
        return not wanted.url and wanted.specifier.contains(version, prereleases=True)
    except importlib.metadata.PackageNotFoundError:
        return False
    except (ValueError, RecursionError):  # no requirement, or numbers and brackets without end
        return False


def say_ignored(environment: Mapping[str, str] = os.environ) -> None:
    """Log, in an image that runs no code of a model, that some is asked for."""
    program = environment.get(PROGRAM, "").strip()
    if program:
        log.warning(
            "%s names '%s', and this image runs no code of a model: it serves the artifact; "
            "%s runs it",
            PROGRAM,
            printable(program),
            IMAGE,
        )
