"""Where a training left its tensors, and whether it still runs."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from artifact.text.json_text import read_json
from diagnose.findings import DiagnoseError
from recipes.hyperparameters import parse

PLACES = (
    "data/tensors",  # ours
    "output/data/tensors",
    "tensors",  # SageMaker's
    "output/tensors",
    ".",
    "debug-output",  # in S3
)
END_FILE = "training_job_end.ts"  # smdebug's
MARKER = "training.json"  # ours, beside the tensors: the process that trains
HOOK_CONFIG = "debughookconfig.json"  # SageMaker's, which switches our hook on
ADVICE = (
    "train with debug=true: `slipway train --set debug=true`, or "
    "`python -m diagnose NEW_FOLDER --hyperparameters FILE`, which trains first"
)
NEEDED = ("collections", "index", "events")  # one of these folders is enough


def find_tensors(output: Path) -> Path:
    """The folder below `output` that holds smdebug's tensors. DiagnoseError without any."""
    if not output.is_dir():
        raise DiagnoseError(f"the folder '{output}' does not exist")
    found = _tensors(output)
    if found is None:
        raise DiagnoseError(
            f"'{output}' holds no saved tensors (looked in {', '.join(PLACES)}); {ADVICE}"
        )
    return found


def will_save_tensors(output: Path) -> bool:
    """Whether a training that writes to this folder may save tensors, by its job's files.

    True where there are none, as for a prefix of S3.
    """
    configuration = output.absolute().parent / "input" / "config"
    if (configuration / HOOK_CONFIG).exists():
        return True
    try:
        given = read_json((configuration / "hyperparameters.json").read_text(encoding="utf-8"))
        return parse(given).debug
    except (OSError, ValueError, AttributeError):  # a user's own script takes what it likes
        return True


def tensors_or_none(output: Path) -> Path | None:
    """As find_tensors, but None while nothing is saved: tensors may still come."""
    return _tensors(output) if output.is_dir() else None


def _tensors(output: Path) -> Path | None:
    for place in PLACES:
        if any((output / place / name).is_dir() for name in NEEDED):
            return (output / place).resolve()
    # smdebug's own default: a folder for each run
    runs = [path for path in output.iterdir() if (path / "collections").is_dir()]
    current = [path for path in runs if not path.name.endswith(".previous")]
    if not current:
        return None
    return max(current, key=lambda path: path.stat().st_mtime).resolve()


@dataclass(frozen=True)
class Training:
    """The process that saves the tensors, as its hook noted it.

    pid: None where no hook of ours wrote. started: clock ticks since boot. sample: the most values
    that are saved of a large tensor, 0 for all.
    """

    pid: int | None = None
    host: str = ""
    started: int | None = None
    ended: bool = False
    sample: int = 0

    @classmethod
    def of(cls, tensors: Path) -> "Training":
        """Read the marker beside the tensors."""
        try:
            facts = read_json((tensors / MARKER).read_text(encoding="utf-8"))
            names = ("pid", "host", "started", "ended", "sample")
            known = {name: facts[name] for name in names if name in facts}
        except (OSError, ValueError, TypeError):
            known = {}
        known["ended"] = known.get("ended", False) or (tensors / END_FILE).exists()
        return cls(**known)

    @property
    def is_here(self) -> bool:
        """Whether the process is on this machine."""
        return self.pid is not None and self.host == socket.gethostname()

    def runs(self) -> bool | None:
        """Whether the process lives; None where nothing shows it."""
        if self.ended:
            return False
        if self.pid is None or not self.is_here:
            return None
        if self.started is not None:
            return process_start(self.pid) == self.started
        return _is_alive(self.pid)


def process_start(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; it shows whether a pid was given to
    another process since. None for a zombie, and without the process or /proc.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        # proc(5): the second field, the command in parentheses, may hold spaces itself
        fields = stat.rpartition(")")[2].split()
        if fields[0] == "Z":
            return None
        return int(fields[19])
    except (OSError, IndexError, ValueError):
        return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # signal 0 only checks
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
