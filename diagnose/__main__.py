"""python -m diagnose OUTPUT: SageMaker Debugger's built-in rules over the tensors that a training saved."""

import argparse
import logging
import sys

from diagnose.evaluation import diagnose, follow
from diagnose.findings import ERROR, FINDINGS_FILE, DiagnoseError, Finding
from diagnose.options import parse
from diagnose.registry import MODULES, read_parameters

FINE, FAILED, FIRED, INTERRUPTED = 0, 1, 3, 130


def main(arguments: list[str] | None = None) -> int:
    """Judge a training; 0 when no rule fired, 3 when one did, 1 when it cannot be judged, 2 for a wrong option, 130 when interrupted."""
    options = parse(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s", force=True)
    if options.list:
        print("\n".join(MODULES))
        return FINE
    try:
        findings = judge(options)
    except DiagnoseError as error:
        print(f"diagnose: failed: {error}", file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"diagnose: failed: {error.strerror or error}: '{error.filename or options.output}'", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("diagnose: interrupted", file=sys.stderr)
        return INTERRUPTED
    for finding in findings:
        tell(finding)
    fired = [finding.rule for finding in findings if finding.fired]
    print(f"diagnose: rules={len(findings)} fired={','.join(fired) or 'none'} findings={options.output / FINDINGS_FILE}", flush=True)
    return FIRED if fired else FAILED if any(finding.status == ERROR for finding in findings) else FINE


def judge(options: argparse.Namespace) -> list[Finding]:
    parameters = read_parameters(options.parameters)
    if not options.follow:
        return diagnose(options.output, options.rules, parameters)
    return follow(options.output, options.rules, parameters, told=tell, stop=options.action == "stop", stop_pid=options.stop_pid, timeout_s=options.timeout)


def tell(finding: Finding) -> None:
    print(finding.words(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
