"""python -m diagnose OUTPUT: SageMaker Debugger's built-in rules over the tensors that a training saved."""

import argparse
import logging
import sys
from pathlib import Path

from diagnose.findings import ERROR, DiagnoseError, Finding

FINE, FAILED, USAGE, FIRED, INTERRUPTED = 0, 1, 2, 3, 130


def main(arguments: list[str] | None = None) -> int:
    """Judge a training; 0 when no rule fired, 3 when one did, 1 when it cannot be judged, 2 for a wrong option, 130 when interrupted."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s", force=True)
    from diagnose import evaluation, registry

    if options.list:
        print("\n".join(registry.MODULES))
        return FINE
    try:
        parameters = registry.read_parameters(options.parameters)
        if options.follow:
            findings = evaluation.follow(options.output, options.rules, parameters, told=_tell, stop=options.action == "stop",
                                         stop_pid=options.stop_pid, timeout_s=options.timeout)
        else:
            findings = evaluation.diagnose(options.output, options.rules, parameters)
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
        _tell(finding)
    fired = [finding.rule for finding in findings if finding.fired]
    print(f"diagnose: rules={len(findings)} fired={','.join(fired) or 'none'} findings={options.output / 'findings.json'}", flush=True)
    return FIRED if fired else FAILED if any(finding.status == ERROR for finding in findings) else FINE


def _tell(finding: Finding) -> None:
    print(finding.words(), flush=True)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="diagnose", description=__doc__)
    parser.add_argument("output", nargs="?", type=Path, metavar="OUTPUT", help="a training's output folder, or the folder of its tensors")
    parser.add_argument("--list", action="store_true", help="print the rules' names, one a line, and end")
    parser.add_argument("--rules", help="names with commas between, or all (default: those that need no choice of yours)")
    parser.add_argument("--parameters", nargs="+", action="extend", default=[], metavar="RULE.NAME=VALUE", help="or a JSON file of {rule: {name: value}}")
    parser.add_argument("--follow", action="store_true", help="judge each step as it comes, until the training ends")
    parser.add_argument("--action", choices=("none", "stop"), default="none", help="with --follow: stop sends the training SIGTERM when a rule fires")
    parser.add_argument("--stop-pid", type=int, help="the process to stop, where the tensors do not name it")
    parser.add_argument("--timeout", type=float, default=1800, help="with --follow: seconds without a new step before giving up (default 1800)")
    options = parser.parse_args(arguments)
    if not options.list and options.output is None:
        parser.error("OUTPUT is missing: the folder that a training with debug=true wrote")
    if (options.action != "none" or options.stop_pid) and not options.follow:
        parser.error("--action and --stop-pid go with --follow")
    return options


if __name__ == "__main__":
    sys.exit(main())
