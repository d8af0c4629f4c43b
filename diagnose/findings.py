"""What the rules found, in words and as findings.json, whose statuses have the fields of SageMaker's DebugRuleEvaluationStatuses."""

import json
import math
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from artifact.model import write_atomically

FINDINGS_FILE = "findings.json"
ISSUES, NONE, ERROR, IN_PROGRESS, NOT_JUDGED = (
    "IssuesFound",
    "NoIssuesFound",
    "Error",
    "InProgress",
    "NotJudged",
)
DETAILS_LENGTH = 1024  # characters that SageMaker's StatusDetails may have


class DiagnoseError(Exception):
    """Why tensors cannot be judged: one sentence for the user, who can mend it."""


@dataclass(frozen=True)
class Finding:
    """One rule's answer.

    status: IssuesFound, NoIssuesFound, InProgress, Error, or NotJudged where nothing that the rule needs was saved; that one
    is ours, SageMaker has no word for it. step counts all forward passes, mode_step those of `mode` (TRAIN, EVAL, PREDICT).
    value against threshold is what fired; steps says how many saved steps were looked at.
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
    seconds: float = 0.0  # when the status came about, since the epoch

    @property
    def fired(self) -> bool:
        return self.status == ISSUES

    def describe(self) -> str:
        """The answer as it is printed: what, where, how far from the threshold, and what to try."""
        if not self.fired:
            return f"{self.rule}: {self.sentence}"
        where = f"{self.mode.lower()} step {self.mode_step}" if self.mode else f"step {self.step}"
        tensor = f", tensor {self.tensor}" if self.tensor else ""
        against = (
            f" (value {format_value(self.value)}, threshold {format_value(self.threshold)})"
            if self.value is not None
            else ""
        )
        return (
            f"{self.rule}: fired at {where}{tensor}: {self.sentence}{against}. Try: {self.advice}"
        )


def write_findings(folder: Path, job: str, findings: list[Finding]) -> Path:
    """findings.json under `folder`, whole or not at all: DebugRuleEvaluationStatuses as DescribeTrainingJob has them, and all details.

    OSError when it cannot be written.
    """
    name = re.sub(r"[^a-zA-Z0-9]+", "-", job).strip("-") or "training"
    statuses = [
        {
            "RuleConfigurationName": finding.rule,
            "RuleEvaluationJobArn": f"arn:aws:sagemaker:local:000000000000:processing-job/{name[:40]}-{finding.rule[:22]}".lower().rstrip(
                "-"
            ),
            "RuleEvaluationStatus": finding.status,
            "StatusDetails": finding.describe()[:DETAILS_LENGTH],
            "LastModifiedTime": finding.seconds,
        }
        for finding in findings
        if finding.status != NOT_JUDGED
    ]
    path = folder / FINDINGS_FILE
    details = [
        {key: _plain(value) for key, value in asdict(finding).items()} for finding in findings
    ]
    text = json.dumps(
        {"DebugRuleEvaluationStatuses": statuses, "findings": details}, indent=2, allow_nan=False
    )
    write_atomically(path, (text + "\n").encode())
    return path


def format_value(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def now() -> float:
    return round(time.time(), 3)


def _plain(value: object) -> object:
    """JSON has no NaN and no infinity; they go as words."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
