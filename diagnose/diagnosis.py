"""All that can be said of a training: the rules over its tensors and those over its profile, by one set of names and parameters."""

from dataclasses import dataclass
from pathlib import Path

from diagnose.evaluation import evaluate_tensors
from diagnose.findings import ERROR, DiagnoseError, Finding
from diagnose.locate import tensors_or_none
from diagnose.profiler_data import ProfileError, find_profile
from diagnose.profiler_report import PAGE, REPORT, profile_report
from diagnose.profiler_result import Result
from diagnose.profiler_rules import RULES as PROFILER_RULES
from diagnose.registry import MODULES, rule_name

NAMES = (*MODULES, *PROFILER_RULES)
ALL_OF_THE_PROFILE = "ProfilerReport"  # SageMaker's name for its profiler's rules together


@dataclass(frozen=True)
class Diagnosis:
    """The answers of both kinds of rules; page: the profiler's report, None without a profile."""

    findings: list[Finding]
    results: list[Result]
    page: Path | None

    def fired(self) -> list[str]:
        return [finding.rule for finding in self.findings if finding.fired] + [
            result.rule for result in self.results if result.triggered
        ]

    def broken(self) -> bool:
        return any(finding.status == ERROR for finding in self.findings)

    def lines(self) -> list[str]:
        """Each answer in words."""
        return [finding.describe() for finding in self.findings] + [
            describe_result(result) for result in self.results
        ]


def diagnose_output(
    output: Path,
    rules: str | None = None,
    parameters: dict[str, dict] | None = None,
    write_to: Path | None = None,
) -> Diagnosis:
    """Judge what lies below a training's output: its tensors, its profile, or both.

    rules: names with commas between, "all", or None for those that need no more than a training. parameters: {rule: {name: value}}.
    Writes findings.json and the profiler's report there, or to the folder write_to. DiagnoseError when there is nothing to judge or a name or value is wrong;
    OSError when nothing can be written.
    """
    output, parameters = Path(output), parameters or {}
    asked, asked_profile = split_names(rules)
    profile = _has_profile(output)
    only_profile = profile and asked in (None, "all") and tensors_or_none(output) is None
    findings = (
        []
        if asked == [] or only_profile
        else evaluate_tensors(
            output,
            asked,
            {name: values for name, values in parameters.items() if name in MODULES},
            write_to,
        )
    )
    results = (
        []
        if asked_profile == [] or asked_profile is None and not profile
        else _profiled(output, asked_profile or (), parameters, write_to)
    )
    return Diagnosis(findings, results, (write_to or output) / REPORT / PAGE if results else None)


def split_names(rules: str | None) -> tuple[list[str] | str | None, list[str] | None]:
    """The tensors' rules and the profile's among the names; None where those that there are to judge are meant. DiagnoseError for an unknown one."""
    if rules is None or rules.strip() == "all":
        return (None if rules is None else "all"), None
    ours, theirs = [], []
    known = {name.lower(): name for name in PROFILER_RULES}
    for text in (part.strip() for part in rules.split(",") if part.strip()):
        plain = text.replace("_", "").lower()
        if plain == ALL_OF_THE_PROFILE.lower():
            theirs += PROFILER_RULES
        elif plain in known:
            theirs.append(known[plain])
        else:
            ours.append(any_name(text))
    if not ours and not theirs:
        raise DiagnoseError("no rule is named; `--list` prints their names")
    return ours, theirs


def any_name(text: str) -> str:
    """A rule's name of either kind, from any spelling. DiagnoseError for an unknown one."""
    plain = text.replace("_", "").strip().lower()
    for name in PROFILER_RULES:
        if plain == name.lower():
            return name
    try:
        return rule_name(text)
    except DiagnoseError as error:
        raise DiagnoseError(f"rule '{text}' is unknown; known: {', '.join(NAMES)}") from error


def describe_result(result: Result) -> str:
    """A profiler rule's answer as it is printed."""
    rule = PROFILER_RULES[result.rule]
    if result.not_evaluated:
        return f"{result.rule}: not judged: {result.not_evaluated}"
    said = result.finding or rule.description
    return (
        f"{result.rule}: fired: {said} Try: {rule.advice}"
        if result.triggered
        else f"{result.rule}: {said}"
    )


def _has_profile(output: Path) -> bool:
    try:
        find_profile(output)
        return True
    except (ProfileError, OSError):
        return False


def _profiled(
    output: Path, rules: list[str] | tuple[()], parameters: dict[str, dict], write_to: Path | None
) -> list[Result]:
    texts = {
        f"{name}_{entry}": value
        for name, values in parameters.items()
        if name in PROFILER_RULES
        for entry, value in values.items()
    }
    try:
        return profile_report(output, texts, rules, write_to and write_to / REPORT)
    except ProfileError as error:
        raise DiagnoseError(str(error)) from error
