"""bench/RESULTS.md: one section a bench, each replaced as a whole by the bench that wrote it."""

import datetime
import platform
from pathlib import Path

HEAD = "# Measurements\n\nEach section is written by the command it names; ratios are of one run on one machine.\n"


def machine() -> str:
    """Today's date, and what this machine computes with."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )
    return f"{datetime.date.today()}, {sum(line.startswith('processor') for line in lines)} cores of {model}"


def replace_section(path: Path, title: str, text: str) -> None:
    """Put text under a title (`## …`), in the place of what stood there, or at the end."""
    whole = path.read_text(encoding="utf-8") if path.is_file() else HEAD
    before, _, rest = whole.partition(f"\n{title}\n")
    _, mark, after = rest.partition("\n## ")
    path.write_text(
        f"{before.rstrip(chr(10))}\n\n{title}\n\n{text}\n" + (f"\n## {after}" if mark else ""),
        encoding="utf-8",
    )
