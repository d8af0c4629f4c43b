"""python -m diagnose OUTPUT: SageMaker Debugger's built-in rules over the tensors and the profile that a training saved."""

import argparse
import logging
import sys

from diagnose.diagnosis import NAMES, Diagnosis, any_name, diagnose_output
from diagnose.evaluation import follow
from diagnose.findings import FINDINGS_FILE, DiagnoseError, Finding
from diagnose.options import parse
from diagnose.registry import read_parameters
from diagnose.training import train_watched

FINE, FAILED, FIRED, INTERRUPTED = 0, 1, 3, 130


def main(arguments: list[str] | None = None) -> int:
    """Judge a training; 0 when no rule fired, 3 when one did, 1 when it cannot be judged, 2 for a wrong option, 130 when interrupted."""
    options = parse(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s", force=True)
    if options.list:
        print("\n".join(NAMES))
        return FINE
    try:
        diagnosis = evaluate(options)
    except DiagnoseError as error:
        print(f"diagnose: failed: {error}", file=sys.stderr)
        return FAILED
    except OSError as error:
        print(
            f"diagnose: failed: {error.strerror or error}: '{error.filename or options.output}'",
            file=sys.stderr,
        )
        return FAILED
    except KeyboardInterrupt:
        print("diagnose: interrupted", file=sys.stderr)
        return INTERRUPTED
    for line in diagnosis.lines():
        print(line, flush=True)
    fired = diagnosis.fired()
    written = [f"findings={options.output / FINDINGS_FILE}"] * bool(diagnosis.findings) + [
        f"report={diagnosis.page}"
    ] * bool(diagnosis.page)
    print(
        f"diagnose: rules={len(diagnosis.lines())} fired={','.join(fired) or 'none'} {' '.join(written)}",
        flush=True,
    )
    return FIRED if fired else FAILED if diagnosis.broken() else FINE


def evaluate(options: argparse.Namespace) -> Diagnosis:
    parameters = read_parameters(options.parameters, any_name)
    if options.hyperparameters:
        options.output = train_watched(options.output, options.hyperparameters, options.data)
    if not options.follow:
        return diagnose_output(options.output, options.rules, parameters)
    findings = follow(
        options.output,
        options.rules,
        parameters,
        on_fire=print_finding,
        stop=options.action == "stop",
        stop_pid=options.stop_pid,
        timeout_s=options.timeout,
    )
    return Diagnosis(findings, [], None)


def print_finding(finding: Finding) -> None:
    print(finding.describe(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
