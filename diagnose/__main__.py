"""python -m diagnose OUTPUT: SageMaker Debugger's built-in rules over the tensors and the profile that a training saved."""

import argparse
import logging
import sys

from diagnose.evaluation import follow
from diagnose.findings import FINDINGS_FILE, DiagnoseError, Finding
from diagnose.judging import NAMES, Judgement, any_name, judge_all
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
        judgement = judge(options)
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
    for line in judgement.lines():
        print(line, flush=True)
    fired = judgement.fired()
    written = [f"findings={options.output / FINDINGS_FILE}"] * bool(judgement.findings) + [
        f"report={judgement.page}"
    ] * bool(judgement.page)
    print(
        f"diagnose: rules={len(judgement.lines())} fired={','.join(fired) or 'none'} {' '.join(written)}",
        flush=True,
    )
    return FIRED if fired else FAILED if judgement.broken() else FINE


def judge(options: argparse.Namespace) -> Judgement:
    parameters = read_parameters(options.parameters, any_name)
    if options.hyperparameters:
        options.output = train_watched(options.output, options.hyperparameters, options.data)
    if not options.follow:
        return judge_all(options.output, options.rules, parameters)
    findings = follow(
        options.output,
        options.rules,
        parameters,
        told=tell,
        stop=options.action == "stop",
        stop_pid=options.stop_pid,
        timeout_s=options.timeout,
    )
    return Judgement(findings, [], None)


def tell(finding: Finding) -> None:
    print(finding.words(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
