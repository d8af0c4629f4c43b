"""Where a training left its tensors, and whether it still runs."""

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from diagnose.findings import DiagnoseError

PLACES = (
    "data/tensors",
    "output/data/tensors",
    "tensors",
    "output/tensors",
    ".",
    "debug-output",
)  # ours, SageMaker's, the folder itself, S3
END_FILE, MARKER = "training_job_end.ts", "training.json"  # smdebug's; ours, beside the tensors
NEEDED = ("collections", "index", "events")


def find_tensors(output: Path) -> Path:
    """The folder below `output` that holds smdebug's tensors. DiagnoseError when there is none."""
    if not output.is_dir():
        raise DiagnoseError(f"there is no folder '{output}'")
    found = _tensors(output)
    if found is None:
        raise DiagnoseError(
            f"'{output}' holds no saved tensors (looked in {', '.join(PLACES)}); train with debug=true"
        )
    return found


def _tensors(output: Path) -> Path | None:
    for place in PLACES:
        if any((output / place / name).is_dir() for name in NEEDED):
            return (output / place).resolve()
    # smdebug's own default: a folder for each run
    runs = [
        path
        for path in output.iterdir()
        if path.is_dir() and (path / "collections").is_dir() and not path.name.endswith(".previous")
    ]
    return max(runs, key=lambda path: path.stat().st_mtime).resolve() if runs else None


def tensors_or_none(output: Path) -> Path | None:
    """The same where they may still come."""
    return _tensors(output) if output.is_dir() else None


@dataclass(frozen=True)
class Training:
    """The process that saves the tensors, as its hook noted it. pid is None where no hook of ours wrote."""

    pid: int | None = None
    host: str = ""
    started: int | None = None
    ended: bool = False
    sample: int = 0

    @classmethod
    def of(cls, tensors: Path) -> "Training":
        try:
            facts = json.loads((tensors / MARKER).read_text(encoding="utf-8"))
            known = {
                name: facts[name]
                for name in ("pid", "host", "started", "ended", "sample")
                if name in facts
            }
        except (OSError, ValueError, TypeError):
            known = {}
        training = cls(**known)
        return cls(**known | {"ended": training.ended or (tensors / END_FILE).exists()})

    @property
    def is_here(self) -> bool:
        return self.pid is not None and self.host == socket.gethostname()

    def runs(self) -> bool | None:
        """Whether the process lives; None where that cannot be told."""
        if self.ended:
            return False
        if not self.is_here:
            return None
        return (
            process_start(self.pid) == self.started
            if self.started is not None
            else _alive(self.pid)
        )


def process_start(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; it shows whether a pid was given to
    another process since. None when there is no such process, it is a zombie, or there is no /proc.
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


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
