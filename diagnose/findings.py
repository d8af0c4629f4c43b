"""The rules' answers, in words and as findings.json.

Statuses there have the fields of SageMaker's DebugRuleEvaluationStatuses.
"""

import json
import math
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from artifact.model import write_atomically
from artifact.text.json_text import read_json
from diagnose.line import Line, read_line

FINDINGS_FILE = "findings.json"
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DebugRuleEvaluationStatus.html
ISSUES_FOUND = "IssuesFound"
NO_ISSUES_FOUND = "NoIssuesFound"
ERROR = "Error"
IN_PROGRESS = "InProgress"
NOT_JUDGED = "NotJudged"  # ours: SageMaker has no status for a rule without its tensors
DETAILS_LENGTH = 1024  # characters that SageMaker's StatusDetails may have
# kinds of rules, and the field that DescribeTrainingJob has for the statuses of each
TENSORS = "tensors"
PROFILE = "profile"
STATUS_FIELDS = {
    TENSORS: "DebugRuleEvaluationStatuses",
    PROFILE: "ProfilerRuleEvaluationStatuses",
}
# how grave it is when a rule fires, the worst first, and what each means
CRITICAL = "critical"
WARNING = "warning"
HINT = "hint"
SEVERITIES = {
    CRITICAL: "the training learns nothing, or nothing more",
    WARNING: "the model is worse than it could be",
    HINT: "time or money is lost, not accuracy",
}
ARN_PREFIX = "arn:aws:sagemaker:local:000000000000:processing-job"  # no account, no region


class DiagnoseError(Exception):
    """Why rules cannot be evaluated: one sentence for the user."""


@dataclass(frozen=True)
class Finding:
    """One rule's answer.

    status: one of the constants above. step counts all forward passes, mode_step those of `mode`
    (TRAIN, EVAL, PREDICT). The rule fired because of `value` against `threshold`. steps: how many
    saved steps were evaluated. seconds: when the status was set, since the epoch. kind: TENSORS or
    PROFILE, what the rule looked at. severity: one of SEVERITIES. line: what the rule watched.
    """

    rule: str
    status: str
    sentence: str
    advice: str = ""
    step: int | None = None
    mode: str = ""
    mode_step: int | None = None
    tensor: str = ""
    value: float | None = None
    threshold: float | None = None
    steps: int = 0
    seconds: float = 0.0
    kind: str = TENSORS
    severity: str = ""
    line: Line | None = None

    @property
    def fired(self) -> bool:
        """Whether the rule found an issue."""
        return self.status == ISSUES_FOUND

    @property
    def where(self) -> str:
        """The step and the tensor, in words; "" where the rule names no step."""
        if self.step is None:
            return ""
        where = f"step {self.step}"
        if self.mode:
            where = f"{self.mode.lower()} step {self.mode_step}"
        if self.tensor:
            where += f", tensor {self.tensor}"
        return where

    def describe(self) -> str:
        """The answer as it is printed: the issue, its place, its size, and a cure."""
        if not self.fired:
            return f"{self.rule}: {self.sentence}"
        text = f"{self.rule}: fired"
        if self.where:
            text += f" at {self.where}"
        text += f": {self.sentence}"
        if self.value is not None:
            threshold = format_value(self.threshold)
            text += f" (value {format_value(self.value)}, threshold {threshold})"
        return f"{text.removesuffix('.')}. Try: {self.advice}"


def write_findings(folder: Path, job: str, findings: Sequence[Finding], verdict: str = "") -> Path:
    """Write findings.json under `folder`, whole or not at all.

    It holds the statuses of both kinds of rules as DescribeTrainingJob has them, and all details.
    verdict: on all of them, in words. OSError when it cannot be written.
    """
    document: dict[str, object] = {"verdict": verdict}
    for kind, field in STATUS_FIELDS.items():
        document[field] = [
            _status(job, finding)
            for finding in findings
            # NOT_JUDGED is not among SageMaker's statuses
            if finding.kind == kind and finding.status != NOT_JUDGED
        ]
    document["findings"] = [_json_value(asdict(finding)) for finding in findings]
    path = folder / FINDINGS_FILE
    text = json.dumps(document, indent=2, allow_nan=False)
    write_atomically(path, (text + "\n").encode())
    return path


def format_value(value: float | None) -> str:
    """A value or a threshold, as it is printed."""
    if value is None:
        return "none"
    return f"{value:.4g}"


def now() -> float:
    """Seconds since the epoch, to the millisecond."""
    return round(time.time(), 3)


def _status(job: str, finding: Finding) -> dict[str, object]:
    # an ARN takes letters, digits and dashes, 63 in a job's name
    name = re.sub(r"[^a-zA-Z0-9]+", "-", job).strip("-") or "training"
    evaluation_job = f"{name[:40]}-{finding.rule[:22]}".lower().rstrip("-")
    return {
        "RuleConfigurationName": finding.rule,
        "RuleEvaluationJobArn": f"{ARN_PREFIX}/{evaluation_job}",
        "RuleEvaluationStatus": finding.status,
        "StatusDetails": finding.describe()[:DETAILS_LENGTH],
        "LastModifiedTime": finding.seconds,
    }


def _json_value(value: Any) -> Any:
    """JSON has no NaN and no infinity; they are written as words."""
    if isinstance(value, dict):
        return {name: _json_value(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def read_findings(path: Path) -> list[Finding]:
    """The answers in a findings.json. DiagnoseError where it is none."""
    try:
        document = read_json(path.read_text(encoding="utf-8"))
        return [_finding(fields) for fields in document["findings"]]
    except OSError as error:
        raise DiagnoseError(f"'{path}' cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DiagnoseError(f"'{path}' is no findings.json ({error})") from error


def _finding(fields: dict[str, Any]) -> Finding:
    numbers = {name: fields[name] for name in ("value", "threshold")}
    # NaN and infinities are words there
    read = {name: None if value is None else float(value) for name, value in numbers.items()}
    return Finding(**{**fields, **read, "line": read_line(fields["line"])})
