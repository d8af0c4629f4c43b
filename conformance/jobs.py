"""What a training job is given (Job), and what one run of it left (Run)."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from conformance.server import last_line
from runtime import job_tree


@dataclass(frozen=True)
class Job:
    """What to train.

    long: further hyperparameters that make the job last minutes; metrics: MetricDefinitions, name
    to regular expression; environment: as CreateTrainingJob's.
    """

    channels: dict[str, Path]
    hyperparameters: dict[str, str] = field(default_factory=dict)
    long: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Run:
    """A training job that has ended.

    root: its /opt/ml tree; code: the exit code, None where the job had to be killed.
    lines: of output, each with the seconds since the start.
    """

    root: Path
    code: int | None = None
    seconds: float = 0.0
    lines: list[tuple[float, str]] = field(default_factory=list)
    # Paths that it changed outside its tree. Known of the plain job alone: an engine takes
    # seconds to list them for a large image.
    changes: list[str] = field(default_factory=list)
    stop_s: float = 0.0  # from SIGTERM to its end
    started: float = field(default_factory=time.monotonic)

    @property
    def model(self) -> list[Path]:
        """Everything below /opt/ml/model but folders."""
        return [path for path in sorted((self.root / "model").rglob("*")) if not path.is_dir()]

    @property
    def failure(self) -> bytes | None:
        """The content of /opt/ml/output/failure; None without the file."""
        return job_tree.read_inside(self.root, "output/failure", job_tree.MOST_FAILURE_BYTES)

    def tail(self) -> str:
        """The last line of output, short."""
        return last_line(line for _, line in self.lines)

    def ended(self) -> str:
        """How the job ended, in words."""
        if self.code is None:
            return "did not end"
        return f"ended with code {self.code}"
