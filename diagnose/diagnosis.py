"""All rules over a training's output: those over its tensors and those over its profile.

Both kinds have one set of names and parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from diagnose.defaults import DEFAULTS, OURS
from diagnose.evaluation import evaluate_tensors
from diagnose.findings import ERROR, DiagnoseError, Finding, write_findings
from diagnose.findings_page import write_findings_page
from diagnose.locate import tensors_or_none
from diagnose.profiler_data import ProfileError
from diagnose.profiler_reader import find_profile
from diagnose.profiler_report import PAGE, REPORT, profile_report
from diagnose.profiler_result import Result
from diagnose.profiler_rules import RULES as PROFILER_RULES
from diagnose.registry import MODULES, Parameters, rule_name, rule_names
from diagnose.verdict import Verdict, combined, finding_of
from recipes.suggestion import unknown

NAMES = (*MODULES, *PROFILER_RULES)
ALL_OF_THE_PROFILE = "ProfilerReport"  # SageMaker's name for its profiler's rules together


@dataclass(frozen=True)
class Diagnosis:
    """The answers of both kinds of rules, as they were asked for now.

    verdict: over them, and over the earlier answers that were given. written: the files for people
    and programs; "report" is the profiler's page, and not there without a profile.
    """

    findings: list[Finding]
    results: list[Result]
    verdict: Verdict
    written: dict[str, Path]

    def fired(self) -> list[str]:
        """The names of the rules that fired, the gravest first."""
        return [answer.rule for answer in self._now().fired]

    def has_errors(self) -> bool:
        """Whether a rule could not be evaluated, though the user named it."""
        return any(finding.status == ERROR for finding in self.findings)

    def lines(self) -> list[str]:
        """Each answer in words, the gravest last."""
        return self._now().lines()

    def _now(self) -> Verdict:
        return Verdict([*self.findings, *(finding_of(result) for result in self.results)])


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
    earlier: Sequence[Finding] = (),
) -> Diagnosis:
    """Evaluate rules over a training's output: over its tensors, its profile, or both.

    rules: names with commas between, "all", or None for those that need no more than a training.
    parameters: {rule: {name: value}}. earlier: answers on the same training, for the verdict.
    Writes findings.json, findings.html and the profiler's report to the output or to the folder
    write_to. DiagnoseError when there is nothing to evaluate, or a name or value is wrong; OSError
    when nothing can be written.
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
    folder = write_to or output
    if selection.profile or (selection.profile is None and has_profile):
        names = selection.profile or []
        others = [*earlier, *findings]
        results = _evaluate_profile(output, names, parameters, folder / REPORT, others)
    return conclude(folder, findings, results, earlier)


def conclude(
    folder: Path,
    findings: list[Finding],
    results: list[Result],
    earlier: Sequence[Finding] = (),
) -> Diagnosis:
    """Write findings.json and findings.html on both kinds of answers. OSError when that fails."""
    answers = [*findings, *(finding_of(result) for result in results)]
    verdict = combined(earlier, answers)
    job = folder.resolve().name
    written = {
        "findings": write_findings(folder, job, answers, verdict.sentence()),
        "page": write_findings_page(folder, verdict),
    }
    if results:
        written["report"] = folder / REPORT / PAGE
    return Diagnosis(findings, results, verdict, written)


def with_defaults(parameters: Parameters, rules: str | None, defaults: str) -> Parameters:
    """The parameters with whose `defaults` each rule has that is evaluated."""
    if defaults == OURS:
        return parameters
    selection = select_rules(rules)
    tensors = [] if selection.tensors == [] else rule_names(selection.tensors)
    profile = list(PROFILER_RULES) if selection.profile is None else selection.profile
    found = dict(parameters)
    for name in [*tensors, *profile]:
        found[name] = {DEFAULTS: defaults, **found.get(name, {})}
    return found


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
        raise DiagnoseError(unknown("rule", text, NAMES)) from error


def _plain(text: str) -> str:
    return text.replace("_", "").strip().lower()


def _has_profile(output: Path) -> bool:
    try:
        find_profile(output)
    except (ProfileError, OSError):
        return False
    return True


def _evaluate_profile(
    output: Path,
    rules: list[str],
    parameters: Parameters,
    folder: Path,
    others: Sequence[Finding],
) -> list[Result]:
    texts = _profiler_parameters(parameters)
    try:
        return profile_report(output, texts, rules, folder, others)
    except ProfileError as error:
        raise DiagnoseError(str(error)) from error


def _profiler_parameters(parameters: Parameters) -> Mapping[str, object]:
    """The parameters in ProfilerReport's syntax: {"CPUBottleneck_cpu_threshold": "80"}."""
    texts: dict[str, object] = {}
    for rule, values in parameters.items():
        if rule in PROFILER_RULES:
            texts |= {f"{rule}_{name}": value for name, value in values.items()}
    return texts
