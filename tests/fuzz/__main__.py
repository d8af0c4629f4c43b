"""python -m tests.fuzz [--seconds 600 | --runs N] [--seed S] [--format TIFF]: hostile photos.

Damaged photos of nine formats go through the one decoder, in a process of their own. A finding is a
photo that takes 64 MB more than its pixels need, or 2 s of the processor, or that ends in anything
but a photo or a PhotoError. Findings are written to out/fuzz, one file each, with a list of them.
The same seed gives the same photos. `make fuzz` runs it, and on x86_64 the coverage-guided fuzzers.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from artifact.photos.kinds import KINDS
from tests.fuzz.corpus import FORMATS
from tests.fuzz.mutations import case
from tests.fuzz.runner import costs
from tests.fuzz.watch import Cost

BATCH = 200  # cases between two looks at the clock
PROGRESS_S = 10.0
SUFFIX = {kind.name: kind.suffixes[0].removeprefix(".") for kind in KINDS}


class Report:
    """What was run, the worst of it, and the findings, which lie in a folder."""

    def __init__(self, folder: Path, seed: int, only: str):
        self.folder = folder
        self.seed = seed
        self.only = only
        self.runs = 0
        self.outcomes: dict[str, int] = {}
        self.worst_mb = 0.0
        self.worst_s = 0.0
        self.findings: list[dict[str, object]] = []

    def add(self, cost: Cost) -> None:
        self.runs += 1
        self.outcomes[cost.outcome] = self.outcomes.get(cost.outcome, 0) + 1
        self.worst_mb = max(self.worst_mb, cost.extra_mb)
        self.worst_s = max(self.worst_s, cost.seconds)
        finding = cost.finding()
        if finding:
            self._keep(cost, finding)

    def _keep(self, cost: Cost, finding: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        _, data = case(self.seed, cost.number, self.only)
        path = self.folder / f"seed{self.seed}-{cost.number}.{SUFFIX[cost.format]}"
        path.write_bytes(data)
        self.findings.append({"file": path.name, "finding": finding, **cost.as_dict()})
        text = json.dumps(self.findings, indent=1) + "\n"
        (self.folder / "findings.json").write_text(text, encoding="utf-8")
        print(f"fuzz: {path}: {finding}", flush=True)

    def line(self) -> str:
        photos = self.outcomes.get("photo", 0)
        refused = self.outcomes.get("refused", 0)
        return (
            f"fuzz: runs={self.runs} photos={photos} refused={refused} "
            f"worst={self.worst_mb:.0f} MB beyond the pixels, {self.worst_s:.2f} s; "
            f"findings={len(self.findings)}"
        )


def main(arguments: list[str] | None = None) -> int:
    """Run; 0 without findings, 1 with some."""
    options = parse(arguments)
    report = Report(options.out, options.seed, options.format)
    started = time.monotonic()
    printed = started
    number = 0
    while wanted(options, number, started):
        last = number + BATCH
        if options.runs:
            last = min(last, options.runs)
        for cost in costs(options.seed, number, last, options.format):
            report.add(cost)
            if time.monotonic() - printed > PROGRESS_S:
                printed = time.monotonic()
                print(report.line(), flush=True)
        number = last
    print(report.line())
    return int(bool(report.findings))


def wanted(options: argparse.Namespace, number: int, started: float) -> bool:
    """Whether more cases are to be run."""
    if options.runs:
        return bool(number < options.runs)
    return bool(time.monotonic() - started < options.seconds)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long (default 600)")
    parser.add_argument("--runs", type=int, default=0, help="in place of a time: how many photos")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the photos; a new one gives new photos (default 0)"
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="", help="photos of one format (default: all)"
    )
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"), help="folder of the findings")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
