"""One verdict over all rules of a training: those over its tensors and those over its profile.

The pages, the console, a training's log and local SageMaker's rule jobs say the same by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from diagnose.findings import (
    ERROR,
    ISSUES_FOUND,
    NO_ISSUES_FOUND,
    NOT_JUDGED,
    PROFILE,
    SEVERITIES,
    TENSORS,
    Finding,
    now,
)
from diagnose.profiler_result import Result
from diagnose.profiler_rules import RULES as PROFILER_RULES

UNJUDGED = (NOT_JUDGED, ERROR)


@dataclass(frozen=True)
class Verdict:
    """All answers, in the order of the rules."""

    answers: Sequence[Finding]

    @property
    def fired(self) -> list[Finding]:
        """Those that found an issue, the gravest first."""
        severities = list(SEVERITIES)
        fired = [answer for answer in self.answers if answer.fired]
        return sorted(fired, key=lambda answer: severities.index(answer.severity))

    @property
    def unjudged(self) -> list[Finding]:
        """Those that found nothing to evaluate, or broke."""
        return [answer for answer in self.answers if answer.status in UNJUDGED]

    @property
    def fine(self) -> list[Finding]:
        """All others."""
        return [
            answer for answer in self.answers if not answer.fired and answer.status not in UNJUDGED
        ]

    def sentence(self) -> str:
        """The verdict in one or two sentences."""
        count = len(self.answers)
        fired = self.fired
        if fired:
            names = ", ".join(f"{answer.rule} ({answer.severity})" for answer in fired)
            return f"{len(fired)} of {count} rules fired: {names}."
        if not count:
            return "No rule was asked for."
        if len(self.unjudged) == count:
            return "No rule could be judged."
        if self.unjudged:
            return f"No rule fired. {len(self.unjudged)} of {count} could not be judged."
        return "No rule fired."

    def scope(self) -> str:
        """A sentence where only one of the two kinds of rules has answered, else ""."""
        kinds = {answer.kind for answer in self.answers}
        if kinds == {PROFILE}:
            return "Rules over tensors are not part of this verdict: debug=true saves tensors."
        if kinds == {TENSORS}:
            return "Rules over the profile are not part of this verdict: profile=true measures one."
        return ""

    def lines(self) -> list[str]:
        """Each answer in words; the gravest is the last, where a reader of a terminal looks."""
        ordered = [*self.fine, *self.unjudged, *reversed(self.fired)]
        return [answer.describe() for answer in ordered]


def combined(earlier: Sequence[Finding], answers: Sequence[Finding]) -> Verdict:
    """The verdict over all answers; of a rule that answered twice, the last answer counts."""
    by_rule = {answer.rule: answer for answer in [*earlier, *answers]}
    return Verdict(list(by_rule.values()))


def finding_of(result: Result) -> Finding:
    """A profiler rule's answer in the form of all answers."""
    rule = PROFILER_RULES[result.rule]
    status = NO_ISSUES_FOUND
    sentence = result.finding or rule.description
    if result.not_evaluated:
        status = NOT_JUDGED
        sentence = f"not judged: {result.not_evaluated}"
    elif result.triggered:
        status = ISSUES_FOUND
    return Finding(
        rule=result.rule,
        status=status,
        sentence=sentence,
        advice=rule.advice,
        steps=result.datapoints,
        seconds=now(),
        kind=PROFILE,
        severity=rule.severity,
    )
