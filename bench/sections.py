"""bench/RESULTS.md: one section for each bench, replaced as a whole by the bench that writes it."""

import datetime
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "bench" / "RESULTS.md"
OUT = REPOSITORY / "out"  # where benches keep photos and runs
HEAD = """# Measurements

Each section is written by the command it names; ratios are of one run on one machine.
"""


@dataclass(frozen=True)
class Bar:
    """A measured number and the limit that it must meet."""

    value: float
    limit: float
    below: bool = False  # it must be lower than the limit, not at least as high

    @property
    def met(self) -> bool:
        if self.below:
            return self.value < self.limit
        return self.value >= self.limit


def missed(bars: Mapping[str, Bar]) -> list[str]:
    """Names of the bars that are not met."""
    return [name for name, bar in bars.items() if not bar.met]


def bar_rows(bars: Mapping[str, Bar]) -> list[str]:
    """The bars as a Markdown table."""
    rows = ["| bar | measured | wanted | met |", "|---|---:|---:|---|"]
    for name, bar in bars.items():
        wanted = "under" if bar.below else "at least"
        met = "yes" if bar.met else "no"
        rows.append(f"| {name} | {bar.value:.3g} | {wanted} {bar.limit:.3g} | {met} |")
    return rows


def machine() -> str:
    """Today's date, and the processor of this machine."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    cores = sum(line.startswith("processor") for line in lines)
    return f"{datetime.date.today()}, {cores} cores of {model}"


def replace_section(title: str, text: str, path: Path = RESULTS) -> None:
    """Put text under a title (`## …`), in the place of the old text, or at the end."""
    whole = path.read_text(encoding="utf-8") if path.is_file() else HEAD
    before, _, rest = whole.partition(f"\n{title}\n")
    _, mark, after = rest.partition("\n## ")
    section = f"{before.rstrip()}\n\n{title}\n\n{text}\n"
    if mark:
        section += f"\n## {after}"
    path.write_text(section, encoding="utf-8")
