"""bench/RESULTS.md: one section for each bench, replaced as a whole by the bench that writes it."""

import datetime
import math
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
        wanted = "at least"
        if bar.below:
            wanted = "under"
        met = "no"
        if bar.met:
            met = "yes"
        value = f"{bar.value:.3g}"
        if math.isnan(bar.value):
            value = "n/a"
            met = "not measured"
        limit = f"{wanted} {bar.limit:.3g}"
        if math.isnan(bar.limit):
            limit = "n/a"  # a peer's figure, and that was not measured
        rows.append(f"| {name} | {value} | {limit} | {met} |")
    return rows


def machine() -> str:
    """Today's date, and the processor of this machine."""
    model = platform.machine()  # ARM's /proc/cpuinfo has no names
    cores = 0
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            model = value.strip()
        elif name.strip() == "processor":
            cores += 1
    return f"{datetime.date.today()}, {cores} cores of {model}"


def replace_section(title: str, text: str, path: Path = RESULTS) -> None:
    """Put text under a title (`## …`), in the place of the old text, or at the end."""
    whole = HEAD
    if path.is_file():
        whole = path.read_text(encoding="utf-8")
    before, _, rest = whole.partition(f"\n{title}\n")
    _, mark, after = rest.partition("\n## ")
    section = f"{before.rstrip()}\n\n{title}\n\n{text}\n"
    if mark:
        section += f"\n## {after}"
    path.write_text(section, encoding="utf-8")
