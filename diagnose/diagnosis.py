"""All rules over a training's output: those over its tensors and those over its profile.

Both kinds have one set of names and parameters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from diagnose.evaluation import evaluate_tensors
from diagnose.findings import ERROR, DiagnoseError, Finding
from diagnose.locate import tensors_or_none
from diagnose.profiler_data import ProfileError
from diagnose.profiler_reader import find_profile
from diagnose.profiler_report import PAGE, REPORT, profile_report
from diagnose.profiler_result import Result
from diagnose.profiler_rules import RULES as PROFILER_RULES
from diagnose.registry import MODULES, Parameters, rule_name

NAMES = (*MODULES, *PROFILER_RULES)
ALL_OF_THE_PROFILE = "ProfilerReport"  # SageMaker's name for its profiler's rules together


@dataclass(frozen=True)
class Diagnosis:
    """The answers of both kinds of rules. page: the profiler's report, None without a profile."""

    findings: list[Finding]
    results: list[Result]
    page: Path | None

    def fired(self) -> list[str]:
        """The names of the rules that fired."""
        by_tensors = [finding.rule for finding in self.findings if finding.fired]
        return by_tensors + [result.rule for result in self.results if result.triggered]

    def has_errors(self) -> bool:
        """Whether a rule could not be evaluated, though the user named it."""
        return any(finding.status == ERROR for finding in self.findings)

    def lines(self) -> list[str]:
        """Each answer in words."""
        by_tensors = [finding.describe() for finding in self.findings]
        return by_tensors + [describe_result(result) for result in self.results]


@dataclass(frozen=True)
class Selection:
    """The rules that a user asked for. None: those that the output has something for.

    An empty list: no rule of that kind.
    """

    tensors: list[str] | str | None
    profile: list[str] | None


def diagnose_output(
    output: Path,
    rules: str | None = None,
    parameters: Parameters | None = None,
    write_to: Path | None = None,
) -> Diagnosis:
    """Evaluate rules over a training's output: over its tensors, its profile, or both.

    rules: names with commas between, "all", or None for those that need no more than a training.
    parameters: {rule: {name: value}}. Writes findings.json and the profiler's report to the output
    or to the folder write_to. DiagnoseError when there is nothing to evaluate, or a name or value
    is wrong; OSError when nothing can be written.
    """
    output = Path(output)
    parameters = parameters or {}
    selection = select_rules(rules)
    has_profile = _has_profile(output)
    findings: list[Finding] = []
    if _wants_tensors(selection, output, has_profile):
        own = {name: values for name, values in parameters.items() if name in MODULES}
        findings = evaluate_tensors(output, selection.tensors, own, write_to)
    results: list[Result] = []
    if selection.profile or (selection.profile is None and has_profile):
        results = _evaluate_profile(output, selection.profile or [], parameters, write_to)
    page = (write_to or output) / REPORT / PAGE if results else None
    return Diagnosis(findings, results, page)


def _wants_tensors(selection: Selection, output: Path, has_profile: bool) -> bool:
    if selection.tensors == []:
        return False
    if selection.tensors in (None, "all") and has_profile:
        # a profile alone is enough; without both, the missing tensors are an error
        return tensors_or_none(output) is not None
    return True


def select_rules(rules: str | None) -> Selection:
    """The rules of each kind among the names. DiagnoseError for an unknown one."""
    if rules is None:
        return Selection(tensors=None, profile=None)
    if rules.strip() == "all":
        return Selection(tensors="all", profile=None)
    tensors: list[str] = []
    profile: list[str] = []
    for text in rules.split(","):
        if not text.strip():
            continue
        if _plain(text) == ALL_OF_THE_PROFILE.lower():
            profile += PROFILER_RULES
            continue
        name = any_name(text.strip())
        if name in PROFILER_RULES:
            profile.append(name)
        else:
            tensors.append(name)
    if not tensors and not profile:
        raise DiagnoseError("no rule is named; `--list` prints their names")
    return Selection(tensors, profile)


def any_name(text: str) -> str:
    """A rule's name of either kind, from any spelling. DiagnoseError for an unknown one."""
    for name in PROFILER_RULES:
        if _plain(text) == name.lower():
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
    finding = result.finding or rule.description
    if result.triggered:
        return f"{result.rule}: fired: {finding} Try: {rule.advice}"
    return f"{result.rule}: {finding}"


def _plain(text: str) -> str:
    return text.replace("_", "").strip().lower()


def _has_profile(output: Path) -> bool:
    try:
        find_profile(output)
    except (ProfileError, OSError):
        return False
    return True


def _evaluate_profile(
    output: Path, rules: list[str], parameters: Parameters, write_to: Path | None
) -> list[Result]:
    texts = _profiler_parameters(parameters)
    folder = write_to / REPORT if write_to else None
    try:
        return profile_report(output, texts, rules, folder)
    except ProfileError as error:
        raise DiagnoseError(str(error)) from error


def _profiler_parameters(parameters: Parameters) -> Mapping[str, object]:
    """The parameters in ProfilerReport's syntax: {"CPUBottleneck_cpu_threshold": "80"}."""
    texts: dict[str, object] = {}
    for rule, values in parameters.items():
        if rule in PROFILER_RULES:
            texts |= {f"{rule}_{name}": value for name, value in values.items()}
    return texts
