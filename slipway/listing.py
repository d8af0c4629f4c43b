"""slipway index: write out/index.html, the page over all results of the project, anew.

Every command that writes a report does it by itself. This one is for after folders were moved,
renamed or removed by hand.
"""

import argparse
import sys
from pathlib import Path

from artifact.pages.project_index import refresh
from recipes.command_line import CommandLine
from slipway.project import OUT, results_here

FAILED = 1


def main(arguments: list[str] | None = None) -> int:
    """Write the index; the exit code: 0, 1 without results, 2 for a wrong option."""
    results = results_here(parsed(arguments).out)
    if not results.out.is_dir():
        print(
            f"index: failed: there is no folder '{results.out}'; type: slipway train",
            file=sys.stderr,
        )
        return FAILED
    refresh(results.out)
    print(f"index: {results.index}")
    return 0


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = CommandLine(prog="index", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=OUT, help="where the results lie (default: out)"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
