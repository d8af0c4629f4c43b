"""python -m diagnose OUTPUT: SageMaker Debugger's built-in rules over a training's output.

The rules look at the tensors and at the profile that the training saved.
"""

import artifact.host.starting  # noqa: F401  # before all else: it takes Ctrl-C

# isort: split
import argparse
import sys
from itertools import chain

from artifact.host.os_errors import sentence_of
from artifact.pages.project_index import refresh_above
from artifact.text.log_lines import log_to
from artifact.text.names import escape_output, printable
from diagnose.diagnosis import NAMES, Diagnosis, any_name, conclude, diagnose_output, with_defaults
from diagnose.findings import DiagnoseError, Finding, read_findings
from diagnose.following import follow
from diagnose.options import parse
from diagnose.registry import read_parameters
from diagnose.training import train_watched

FINE = 0
FAILED = 1
FIRED = 3
INTERRUPTED = 130  # as shells have it: 128 and SIGINT


def main(arguments: list[str] | None = None) -> int:
    """Evaluate the rules. The exit code: 0 when no rule fired, 3 when one did.

    1 when the rules cannot be evaluated, 2 for a wrong option, 130 when interrupted.
    """
    escape_output()
    options = parse(arguments)
    log_to(sys.stderr)
    if options.list:
        print("\n".join(NAMES))
        return FINE
    try:
        diagnosis = evaluate(options)
    except DiagnoseError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(sentence_of(error))
    except KeyboardInterrupt:
        print("diagnose: interrupted", file=sys.stderr)
        return INTERRUPTED
    refresh_above(diagnosis.written["findings"])
    _print_diagnosis(diagnosis)
    if diagnosis.fired():
        return FIRED
    if diagnosis.has_errors():
        return FAILED
    return FINE


def evaluate(options: argparse.Namespace) -> Diagnosis:
    """Train first, follow a training, or evaluate what is there, as the options say."""
    parameters = read_parameters(options.parameters, any_name)
    parameters = with_defaults(parameters, options.rules, options.defaults)
    if options.hyperparameters:
        options.output = train_watched(options.output, options.hyperparameters, options.data)
    earlier = list(chain.from_iterable(map(read_findings, options.answers)))
    if not options.follow:
        return diagnose_output(options.output, options.rules, parameters, earlier=earlier)
    findings = follow(
        options.output,
        options.rules,
        parameters,
        on_fire=print_finding,
        stop=options.action == "stop",
        stop_pid=options.stop_pid,
        timeout_s=options.timeout,
    )
    return conclude(options.output, findings, [], earlier)


def print_finding(finding: Finding) -> None:
    """Print a rule's answer while the training goes on."""
    print(printable(finding.describe()), flush=True)


def _print_diagnosis(diagnosis: Diagnosis) -> None:
    lines = diagnosis.lines()
    for line in lines:
        print(printable(line), flush=True)
    print(f"verdict: {printable(diagnosis.verdict.sentence())}", flush=True)
    fired = ",".join(diagnosis.fired()) or "none"
    written = " ".join(f"{name}={path}" for name, path in diagnosis.written.items())
    print(f"diagnose: rules={len(lines)} fired={fired} {written}", flush=True)


def _fail(reason: str) -> int:
    print(f"diagnose: failed: {printable(reason)}", file=sys.stderr)
    return FAILED


if __name__ == "__main__":
    sys.exit(main())
