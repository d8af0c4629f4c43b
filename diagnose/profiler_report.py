"""From a job's output to judged rules: one JSON a rule and profiler-report.html, where SageMaker's ProfilerReport puts them."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from artifact.model import write_atomically
from diagnose.profiler_data import read_profile
from diagnose.profiler_page import write_page
from diagnose.profiler_result import Result
from diagnose.profiler_rules import evaluate_rules, parameters_of
from diagnose.report_losses import read_losses

REPORT = Path("rule-output", "ProfilerReport", "profiler-output")
PAGE, RULES_FOLDER = "profiler-report.html", "profiler-reports"


def profile_report(
    output: Path,
    parameters: Mapping[str, object] | None = None,
    rules: Iterable[str] = (),
    report: Path | None = None,
) -> list[Result]:
    """Judge the profile below a job's output, or below a prefix downloaded from S3, and write what was found.

    parameters: texts such as {"CPUBottleneck_cpu_threshold": "80"}; rules: names of those to judge, all where empty. The files go to `report`,
    by default to output/rule-output/ProfilerReport/profiler-output: profiler-report.html and profiler-reports/<rule>.json. ProfileError
    with one sentence when there is no profile, nothing in it can be read, or a name or value is wrong; OSError when writing fails.
    """
    output, rules = Path(output), list(rules)
    parameters_of(parameters or {})  # a typo is told before anything is read
    profile = read_profile(output)
    results = evaluate_rules(profile, parameters, rules)
    unit, curves, notes = read_losses(output)
    folder = Path(report) if report else output / REPORT
    (folder / RULES_FOLDER).mkdir(parents=True, exist_ok=True)
    for result in results:
        text = json.dumps(result.document(), indent=2, allow_nan=False) + "\n"
        write_atomically(folder / RULES_FOLDER / f"{result.rule}.json", text.encode())
    write_page(folder / PAGE, profile, results, (unit, curves), notes)
    return results
