"""From a job's output to the rules' answers: one JSON per rule and profiler-report.html.

They are where SageMaker's ProfilerReport puts them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from artifact.model import write_atomically
from diagnose.findings import Finding
from diagnose.page_links import FINDINGS_PAGE, PROFILER_PAGE, TRAINING_REPORT, links
from diagnose.profiler_page import write_page
from diagnose.profiler_reader import read_profile
from diagnose.profiler_result import Result
from diagnose.profiler_rules import evaluate_rules, parameters_of
from diagnose.report_losses import read_losses
from diagnose.verdict import combined, finding_of

REPORT = PROFILER_PAGE.parent
PAGE = PROFILER_PAGE.name
RULES_FOLDER = "profiler-reports"


def profile_report(
    output: Path,
    parameters: Mapping[str, object] | None = None,
    rules: Iterable[str] = (),
    report: Path | None = None,
    others: Sequence[Finding] | None = None,
) -> list[Result]:
    """Evaluate the profile below a job's output, or below a prefix from S3; write the answers.

    parameters: texts such as {"CPUBottleneck_cpu_threshold": "80"}. rules: names, all where empty.
    others: answers of other rules on the same training, for the page's verdict; None where no
    findings.html will be written.
    The files go to `report`, by default to output/rule-output/ProfilerReport/profiler-output:
    profiler-report.html and profiler-reports/<rule>.json. ProfileError with one sentence without a
    profile, when nothing in it can be read, and for a wrong name or value; OSError when writing
    fails.
    """
    output = Path(output)
    rules = list(rules)
    parameters_of(parameters or {})  # a typo is an error before anything is read
    profile = read_profile(output)
    results = evaluate_rules(profile, parameters, rules)
    losses = read_losses(output)
    folder = Path(report) if report else output / REPORT
    (folder / RULES_FOLDER).mkdir(parents=True, exist_ok=True)
    for result in results:
        text = json.dumps(result.document(), indent=2, allow_nan=False) + "\n"
        write_atomically(folder / RULES_FOLDER / f"{result.rule}.json", text.encode())
    verdict = combined(others or (), [finding_of(result) for result in results])
    linked = links(folder, (FINDINGS_PAGE, TRAINING_REPORT), coming=others is not None)
    write_page(folder / PAGE, profile, results, losses, verdict, linked)
    return results
