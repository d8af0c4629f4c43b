"""python -m bench.accuracy --data FOLDER: what the presets, the head and int8 reach, as one table.

Each column is a module of this folder. A column measures in parts, and each part is kept as a JSON
file in out/bench-accuracy/parts: a second start goes on after them, and one that is told to stop
still shows its table. Five seeds take an hour on two cores. A run in which every column is measured
writes its section of bench/RESULTS.md and bench/accuracy.png.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from bench.accuracy import best, head, int8, labels, quick, scratch, unknown
from bench.accuracy.parts import Bench, Figures
from bench.accuracy.results import NAMES, last_line, plot, section, table
from bench.sections import OUT, replace_section
from bench.told_to_stop import until_told

COLUMNS: dict[str, Callable[[Bench], Figures]] = {
    "quick": quick.measure,
    "best": best.measure,
    "scratch": scratch.measure,
    "head": head.measure,
    "int8": int8.measure,
    "labels": labels.measure,
    "unknown": unknown.measure,
}
TITLE = "## Accuracy (`make bench-accuracy`)"


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-accuracy", description=__doc__)
    parser.add_argument("--data", type=Path, help="photos, one folder per class, such as yoga8")
    parser.add_argument("--strange", type=Path, help="pictures of none of the classes")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=tuple(COLUMNS), nargs="*", default=tuple(COLUMNS))
    parser.add_argument(
        "--out", type=Path, default=OUT / "bench-accuracy", help="where splits and parts are kept"
    )
    options = parser.parse_args()
    bench = Bench(options.data, options.out.absolute(), options.seeds, options.strange)
    figures: Figures = {}
    with until_told():
        for name in options.only:
            figures |= measured(bench, name)
    if figures.keys() >= set(NAMES):
        plot(bench.parts, bench.seeds)
        replace_section(TITLE, section(figures, bench))
    print(table(figures))
    print(last_line(figures), flush=True)
    return 0


def measured(bench: Bench, name: str) -> Figures:
    """A column's figures; none where it cannot be measured, with a line that says why."""
    try:
        return COLUMNS[name](bench)
    except (RuntimeError, OSError) as error:
        print(f"bench-accuracy: {name}: failed: {error}", file=sys.stderr, flush=True)
        return {}


if __name__ == "__main__":
    sys.exit(main())
