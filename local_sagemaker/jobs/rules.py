"""DebugRuleConfigurations and ProfilerRuleConfigurations, evaluated after a training.

`python -m diagnose` does it, as a process.
"""

import json
import logging
import subprocess
import sys
import time
from pathlib import Path

from local_sagemaker import objects
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.store import arn
from runtime import job_tree
from runtime.processes import REPOSITORY

log = logging.getLogger(__name__)
KIND = "training-job"
PARTS = {
    "DebugRuleConfigurations": "DebugRuleEvaluationStatuses",
    "ProfilerRuleConfigurations": "ProfilerRuleEvaluationStatuses",
}
# exit codes of `python -m diagnose`
CODES = {0: "NoIssuesFound", 3: "IssuesFound"}
# diagnose prints this for a rule that found no step with the tensors that it needs
UNJUDGED = ": not judged: it needs "
NO_ANSWERS = ("verdict: ", "diagnose: rules=")  # beginnings of lines that are no rule's answer
TIMEOUT_S = 1800  # for one rule; diagnose takes seconds
NAME_PART = 26  # characters: a processing job's name has 63 at most
PROFILER_REPORT = "ProfilerReport"
# What diagnose writes below a job's tree; the report's folder holds a profiler-output of its own.
REPORT_FOLDER = "output/rule-output/ProfilerReport"
FINDINGS_FILE = "findings.json"
FINDINGS_PAGE = "findings.html"
OWN_FINDINGS = f"output/{FINDINGS_FILE}"
MOST_FINDINGS_BYTES = 16 * 1024**2
# Parameters of a rule's configuration that SageMaker itself reads.
OWN = ("rule_to_invoke", "source_s3_uri", "action_json", "opt_out_telemetry")


def begin(record: Record) -> Record:
    """The statuses that a job with rules starts with."""
    statuses: Record = {}
    for part, field in PARTS.items():
        if record.get(part):
            statuses[field] = [_first_status(record, rule) for rule in record[part]]
    return statuses


def _first_status(record: Record, rule: Record) -> Record:
    return {
        "RuleConfigurationName": rule["RuleConfigurationName"],
        "RuleEvaluationStatus": "InProgress",
        "LastModifiedTime": time.time(),
        "RuleEvaluationJobArn": _job_of(record, rule),
    }


def _job_of(record: Record, rule: Record) -> str:
    """ARN of the processing job that SageMaker would start for the rule. Here nothing has it."""
    job = record["TrainingJobName"][:NAME_PART]
    name = rule["RuleConfigurationName"][:NAME_PART]
    return arn(record["Region"], "processing-job", f"{job}-{name}".lower())


def judge(platform: Platform, job: str, root: Path) -> None:
    """Each rule of the job on what is under root/output; statuses and reports as they come.

    A training that failed is judged by what it left, too.
    """
    record = platform.store.find(KIND, job) or {}
    answers: list[Path] = []  # of the rules so far: all pages then have one verdict
    for part, field in PARTS.items():
        for number, rule in enumerate(record.get(part, [])):
            given = root.parent / f"{field}-{number}.json"  # a rule's own name may hold slashes
            try:
                status, details = _judged(rule, root, record, given, answers)
            except (OSError, objects.ObjectError) as error:
                log.warning("training %s: rule not judged: %s", job, error)
                status, details = "Error", str(error)
            with platform.store.changing(KIND, job) as held:
                held.get(field, [{}] * (number + 1))[number].update(
                    RuleEvaluationStatus=status,
                    StatusDetails=details[:1024],
                    LastModifiedTime=time.time(),
                )
    _send_page(root, record)


def _judged(
    rule: Record, root: Path, record: Record, given: Path, answers: list[Path]
) -> tuple[str, str]:
    """Status and details of one rule. given: the file to write its parameters to.

    answers: findings.json of each rule before this one; its own is added.
    """
    parameters = dict(rule.get("RuleParameters", {}))
    name = parameters.get("rule_to_invoke")
    if not name or "source_s3_uri" in parameters:
        return "Error", (
            "local SageMaker: only the built-in rules, named by the parameter rule_to_invoke, "
            "are judged here"
        )
    texts = _parameters(name, {key: value for key, value in parameters.items() if key not in OWN})
    given.parent.mkdir(parents=True, exist_ok=True)  # a training may fail before it has a tree
    given.write_text(json.dumps(texts))
    command = [sys.executable, "-m", "diagnose", str(root / "output"), "--rules", name]
    if texts:
        command += ["--parameters", str(given)]
    if answers:
        command += ["--answers", *map(str, answers)]
    try:
        done = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return "Error", f"the rule did not end within {TIMEOUT_S} s"
    lines = [line for line in done.stdout.splitlines() if not line.startswith(NO_ANSWERS)]
    status = CODES.get(done.returncode, "Error")
    if status == "Error" and not any(UNJUDGED in line for line in lines):
        lines = done.stderr.splitlines() or lines
    elif (own := job_tree.read_inside(root, OWN_FINDINGS, MOST_FINDINGS_BYTES)) is not None:
        answers.append(given.with_suffix(".findings.json"))
        answers[-1].write_bytes(own)
    _send(rule, name, root, record)
    if not lines:
        return status, f"diagnose ended with code {done.returncode}"
    return status, lines[-1]


def _parameters(rule: str, texts: dict[str, str]) -> dict[str, dict[str, str]]:
    """By rule, as diagnose takes them.

    ProfilerReport stands for several rules: its parameters are written <Rule>_<parameter>.
    """
    if rule != PROFILER_REPORT:
        if not texts:
            return {}
        return {rule: texts}
    found: dict[str, dict[str, str]] = {}
    for key, value in texts.items():
        name, _, parameter = key.partition("_")
        found.setdefault(name, {})[parameter] = value
    return found


def _send(rule: Record, invoked: str, root: Path, record: Record) -> None:
    """What a rule wrote, to <output>/<job>/rule-output/<its name>/, as SageMaker does.

    Source: sagemaker-python-sdk, Estimator.rule_output_path and its profiler notebooks.
    """
    base = rule.get("S3OutputPath") or record["OutputDataConfig"]["S3OutputPath"]
    names = (record["TrainingJobName"], "rule-output", rule["RuleConfigurationName"])
    target = objects.joined(base, *names)
    if invoked == PROFILER_REPORT:
        objects.put_all(root, REPORT_FOLDER, target)
    elif FINDINGS_FILE in job_tree.files_inside(root, "output"):
        objects.put(root / "output", FINDINGS_FILE, objects.joined(target, FINDINGS_FILE))


def _send_page(root: Path, record: Record) -> None:
    """The page on all rules, to <output>/<job>/, where the profiler's page links to it."""
    if FINDINGS_PAGE not in job_tree.files_inside(root, "output"):
        return
    base = record["OutputDataConfig"]["S3OutputPath"]
    target = objects.joined(base, record["TrainingJobName"], FINDINGS_PAGE)
    try:
        objects.put(root / "output", FINDINGS_PAGE, target)
    except (OSError, objects.ObjectError) as error:
        log.warning("training %s: %s", record["TrainingJobName"], error)
