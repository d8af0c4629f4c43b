"""slipway doctor: what is missing on this machine, and the command that fixes it.

The exit code is 0 when nothing is missing, and 1 when something is. A note is no fault: it says
what works less well, or not at all, without that part.
"""

import dataclasses
import json
import sys

from recipes.command_line import CommandLine
from recipes.terminal import print_grid
from slipway.checks import MISSING, Check, all_checks
from slipway.version import version


def main(arguments: list[str] | None = None) -> int:
    """Look at everything and print it; 1 when something is missing."""
    parser = CommandLine(prog="doctor", description=__doc__)
    parser.add_argument(
        "--json", action="store_true", help="one JSON object per line in place of the table"
    )
    options = parser.parse_args(arguments)
    checks = all_checks()
    if options.json:
        for check in checks:
            print(json.dumps(dataclasses.asdict(check)))
    else:
        show(checks)
    return int(any(check.state == MISSING for check in checks))


def show(checks: list[Check]) -> None:
    """A line per check, and below it the command that fixes it."""
    print(f"slipway {version()}")
    rows: list[tuple[str, str, str]] = []
    for check in checks:
        rows.append((check.state, check.name, check.found))
        if check.mend:
            rows.append(("", "", f"-> {check.mend}"))
    print_grid(rows, (8, 14))
    missing = [check.name for check in checks if check.state == MISSING]
    print(f"doctor: checks={len(checks)} missing={','.join(missing) or 'none'}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
