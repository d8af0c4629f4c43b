"""The rules' answers, in words and as findings.json.

Statuses there have the fields of SageMaker's DebugRuleEvaluationStatuses.
"""

import json
import math
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from artifact.model import write_atomically

FINDINGS_FILE = "findings.json"
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DebugRuleEvaluationStatus.html
ISSUES_FOUND = "IssuesFound"
NO_ISSUES_FOUND = "NoIssuesFound"
ERROR = "Error"
IN_PROGRESS = "InProgress"
NOT_JUDGED = "NotJudged"  # ours: SageMaker has no status for a rule without its tensors
DETAILS_LENGTH = 1024  # characters that SageMaker's StatusDetails may have
ARN_PREFIX = "arn:aws:sagemaker:local:000000000000:processing-job"  # no account, no region


class DiagnoseError(Exception):
    """Why rules cannot be evaluated: one sentence for the user."""


@dataclass(frozen=True)
class Finding:
    """One rule's answer.

    status: one of the constants above. step counts all forward passes, mode_step those of `mode`
    (TRAIN, EVAL, PREDICT). The rule fired because of `value` against `threshold`. steps: how many
    saved steps were evaluated. seconds: when the status was set, since the epoch.
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

    @property
    def fired(self) -> bool:
        """Whether the rule found an issue."""
        return self.status == ISSUES_FOUND

    def describe(self) -> str:
        """The answer as it is printed: the issue, its place, its size, and a cure."""
        if not self.fired:
            return f"{self.rule}: {self.sentence}"
        where = f"step {self.step}"
        if self.mode:
            where = f"{self.mode.lower()} step {self.mode_step}"
        if self.tensor:
            where += f", tensor {self.tensor}"
        text = f"{self.rule}: fired at {where}: {self.sentence}"
        if self.value is not None:
            threshold = format_value(self.threshold)
            text += f" (value {format_value(self.value)}, threshold {threshold})"
        return f"{text}. Try: {self.advice}"


def write_findings(folder: Path, job: str, findings: list[Finding]) -> Path:
    """Write findings.json under `folder`, whole or not at all.

    It holds DebugRuleEvaluationStatuses as DescribeTrainingJob has them, and all details. OSError
    when it cannot be written.
    """
    # NOT_JUDGED is not among SageMaker's statuses
    known = [finding for finding in findings if finding.status != NOT_JUDGED]
    document = {
        "DebugRuleEvaluationStatuses": [_status(job, finding) for finding in known],
        "findings": [_details(finding) for finding in findings],
    }
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


def _details(finding: Finding) -> dict[str, object]:
    return {key: _json_value(value) for key, value in asdict(finding).items()}


def _json_value(value: object) -> object:
    """JSON has no NaN and no infinity; they are written as words."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
