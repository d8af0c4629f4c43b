"""A training job's directories and configuration files, as SageMaker lays them out under /opt/ml.

input/config/hyperparameters.json  input/config/resourceconfig.json  input/data/<channel>/
model/  checkpoints/  output/data/  output/failure
"""

import codecs
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artifact.text.json_text import read_json
from artifact.text.names import writable

DEFAULT_ROOT = "/opt/ml"
BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
FAILURE_LENGTH = 1024  # characters of the failure file that DescribeTrainingJob shows


class JobError(Exception):
    """Why a job cannot go on: one sentence for the user, who can act on it."""


@dataclass(frozen=True)
class Job:
    """Paths below one root. Reading them needs nothing; writers make the folders they need."""

    root: Path

    @classmethod
    def at(cls, root: str | os.PathLike[str] | None = None) -> "Job":
        """The job under root, else under SAGEMAKER_BASE_DIR, else under /opt/ml.

        JobError for a folder that does not exist.
        """
        path = Path(root or os.environ.get("SAGEMAKER_BASE_DIR") or DEFAULT_ROOT).absolute()
        if not path.is_dir():
            raise JobError(
                f"the folder '{path}' does not exist; "
                "mount the job there, or name another with --root"
            )
        return cls(path)

    @property
    def channels(self) -> dict[str, Path]:
        """Channel name to folder, for every folder under input/data."""
        data = self.root / "input" / "data"
        if not data.is_dir():
            return {}
        return {path.name: path for path in sorted(data.iterdir()) if path.is_dir()}

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def output_data(self) -> Path:
        return self.root / "output" / "data"

    @property
    def report(self) -> Path:
        """The page on the training."""
        return self.output_data / "report.html"

    @property
    def _failure(self) -> Path:
        return self.root / "output" / "failure"

    def hyperparameters(self) -> dict[str, str]:
        """hyperparameters.json as it stands; empty without the file. JobError for a damaged one."""
        return self.config("hyperparameters.json")

    # Any: SageMaker's files have their own shapes, which their readers know.
    def config(self, name: str) -> dict[str, Any]:
        """A file under input/config; empty without the file. JobError for a damaged one."""
        try:
            return _read_object(self.root / "input" / "config" / name)
        except FileNotFoundError:
            return {}

    def refuse_pipes(self) -> None:
        """JobError for a channel in Pipe mode: it has no files, and so no folders of classes."""
        for name, channel in self.config("inputdataconfig.json").items():
            if isinstance(channel, dict) and channel.get("TrainingInputMode") == "Pipe":
                raise JobError(
                    f"the channel '{name}' comes in Pipe mode, which has no folders of classes; "
                    "set its InputMode to File or FastFile"
                )

    def take_hyperparameters(self, file: Path) -> None:
        """Make a file's hyperparameters this job's.

        JobError when it holds none, OSError when the job's file cannot be written.
        """
        try:
            texts = _read_object(file)
        except FileNotFoundError as error:
            raise JobError(f"the file '{file}' of hyperparameters does not exist") from error
        path = self.root / "input" / "config" / "hyperparameters.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(texts, indent=2) + "\n", encoding="utf-8")

    def path(self, given: str) -> Path:
        """A path as SageMaker's files give it, with this job's root in place of /opt/ml."""
        path = Path(given)
        if not path.is_relative_to(DEFAULT_ROOT):
            return path
        return self.root / path.relative_to(DEFAULT_ROOT)

    def forget_failure(self) -> None:
        """Remove the reason that an earlier run left."""
        self._failure.unlink(missing_ok=True)

    def failure(self) -> str:
        """The reason in the failure file; "" without one."""
        if not self._failure.is_file():
            return ""
        return self._failure.read_text(encoding="utf-8", errors="replace")

    def write_failure(self, reason: str) -> None:
        """Write the file that SageMaker reads FailureReason from. OSError when it cannot."""
        self._failure.parent.mkdir(parents=True, exist_ok=True)
        # A reason may quote a name that is not UTF-8.
        self._failure.write_text(writable(reason)[:FAILURE_LENGTH], encoding="utf-8")


def _read_object(path: Path) -> dict[str, Any]:
    """A JSON object. FileNotFoundError without a file, JobError for anything else."""
    try:
        data = path.read_bytes()
        if data.startswith(BYTE_ORDER_MARKS):
            raise JobError(
                f"'{path}' begins with a byte order mark (BOM), as some editors and PowerShell "
                "write it; save it as UTF-8 without one"
            )
        values = read_json(data.decode("utf-8") or "{}")
    except FileNotFoundError:
        raise
    except (ValueError, OSError) as error:
        raise JobError(f"'{path}' is not readable JSON ({error})") from error
    if not isinstance(values, dict):
        kind = type(values).__name__
        raise JobError(f"'{path}' holds a {kind}; expected an object of names and values")
    return values
