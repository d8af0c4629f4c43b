"""python -m conformance --train IMAGE --serve IMAGE: checks images against SageMaker's contract.

The last line counts the clauses. The exit code is 0 when none is broken, 1 when one is, and 2 for
options that cannot be used.
"""

import artifact.host.starting  # noqa: F401  # before all else: it takes Ctrl-C

# isort: split
import signal
import sys
import time

from artifact.text.names import escape_output
from conformance import catalog, results
from conformance.clauses import KINDS, Result
from conformance.limits import ContractLimits
from conformance.options import parser, wanted_by
from conformance.runner import examine, workplace
from runtime.errors import RunError

BROKEN = 1
USAGE = 2
INTERRUPTED = 130  # 128 + SIGINT


def main(arguments: list[str] | None = None) -> int:
    """Check the targets that the options name. Returns the exit code."""
    escape_output()
    options = parser(__doc__ or "").parse_args(arguments)
    if options.list:
        list_clauses()
        return 0
    started = time.monotonic()
    try:
        with workplace() as work:
            wanted = wanted_by(options, work)
            found = examine(wanted, ContractLimits(), work, show)
        if options.json:
            options.json.write_text(results.as_json(found), encoding="utf-8")
        if options.junit:
            results.write_junit(found, options.junit)
    except (RunError, OSError) as error:
        print(f"conformance: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("conformance: interrupted; everything that ran was ended", file=sys.stderr)
        return INTERRUPTED
    counts = results.counted(found)
    words = " ".join(f"{name}={count}" for name, count in counts.items())
    print(f"conformance: seconds={time.monotonic() - started:.0f}")
    print(f"conformance: {words}", flush=True)
    return BROKEN if counts["broken"] else 0


def show(result: Result) -> None:
    """Print one result."""
    print(results.row(result), flush=True)


def list_clauses() -> None:
    """Print all clauses: requirement, source, fix."""
    indent = " " * 48
    for kind in KINDS:
        for clause in catalog.of_kind(kind):
            print(f"{kind:9} {clause.name:38} {clause.requirement}")
            print(f"{indent} {clause.source}")
            print(f"{indent} Fix: {clause.fix}")


if __name__ == "__main__":
    # SIGTERM as Ctrl-C: what runs is ended first
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
