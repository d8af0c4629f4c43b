"""Rules over a training's tensors, once over all that is there.

smdebug, and torch with it, is loaded when a trial is opened, not before.
"""

import dataclasses
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from artifact.host.starting import Loading
from diagnose.findings import (
    ERROR,
    IN_PROGRESS,
    ISSUES_FOUND,
    NO_ISSUES_FOUND,
    NOT_JUDGED,
    DiagnoseError,
    Finding,
    now,
    write_findings,
)
from diagnose.locate import END_FILE, find_tensors
from diagnose.registry import Parameters, load, rule_names, settings
from diagnose.smdebug_compat import load_smdebug

if TYPE_CHECKING:  # both modules load smdebug
    from diagnose.rule import TensorRule
    from diagnose.trial import JobTrial

log = logging.getLogger(__name__)


@dataclass
class RuleEvaluation:
    """One rule on its way through the steps.

    first, end: the steps that it sees, counted over all forward passes; end itself is left out.
    named: the user named the rule, so it is an error when the rule finds nothing to evaluate.
    """

    name: str
    rule: "TensorRule"
    first: int
    end: int | None
    named: bool
    finding: Finding | None = None

    def see(self, trial: "JobTrial", step: int) -> Finding | None:
        """Evaluate a step; the finding if the rule fired or broke just now.

        A rule that fired is done, as on SageMaker.
        """
        from smdebug.exceptions import RuleEvaluationConditionMet, SMDebugError

        if self.finding is not None or not self._covers(step):
            return None
        try:
            self.rule.invoke(step)
        except RuleEvaluationConditionMet:
            self.finding = self._issue(trial)
        except SMDebugError:
            return None  # this step lacks a tensor of the rule
        except Exception as error:  # the other rules go on
            log.debug("rule %s broke", self.name, exc_info=True)
            sentence = f"broke at step {step}: {type(error).__name__}: {error}"
            self.finding = Finding(self.name, ERROR, sentence, step=step, seconds=now())
        return self.finding

    def result(self, running: bool) -> Finding:
        """The answer as it stands."""
        if self.finding is not None:
            return self.finding if running else self._drawn(self.finding)
        steps = self.rule.steps_evaluated
        if steps:
            status = IN_PROGRESS if running else NO_ISSUES_FOUND
            sentence = f"no issue in {steps} saved steps"
            return Finding(self.name, status, sentence, steps=steps, seconds=now())
        status = ERROR if self.named else NOT_JUDGED
        if running:
            status = IN_PROGRESS
        sentence = f"not judged: it needs {self.rule.needs}"
        return Finding(self.name, status, sentence, seconds=now())

    def _drawn(self, finding: Finding) -> Finding:
        """The finding with its line, over all steps, also those after it fired."""
        try:
            return dataclasses.replace(finding, line=self.rule.line())
        except Exception:  # the answer itself does not need it
            log.debug("rule %s has no line", self.name, exc_info=True)
            return finding

    def _covers(self, step: int) -> bool:
        return step >= self.first and (self.end is None or step < self.end)

    def _issue(self, trial: "JobTrial") -> Finding:
        violation = self.rule.violation
        assert violation is not None, f"{self.name} fired without its own `fire`"
        mode, mode_step = trial.mode_modestep(violation.step)
        return Finding(
            rule=self.name,
            status=ISSUES_FOUND,
            sentence=violation.sentence,
            advice=self.rule.advice,
            step=violation.step,
            mode=mode.name if mode else "",
            mode_step=mode_step,
            tensor=violation.tensor,
            value=violation.value,
            threshold=violation.threshold,
            severity=self.rule.severity,
            steps=self.rule.steps_evaluated,
            seconds=now(),
        )


def evaluate_tensors(
    output: str | os.PathLike[str],
    rules: str | list[str] | None = None,
    parameters: Parameters | None = None,
    write_to: str | os.PathLike[str] | None = None,
) -> list[Finding]:
    """Run rules over the tensors under `output`; a finding for each rule.

    rules: names, "all", or None for those that need no more than a training. parameters:
    {rule: {name: value or text}}. Writes findings.json there, or to the folder `write_to`.
    DiagnoseError when there are no tensors, or a name is unknown; OSError when findings.json cannot
    be written.
    """
    output = Path(output)
    names = rule_names(rules)
    tensors = find_tensors(output)
    with load_smdebug():
        trial = open_trial(tensors)
        evaluations = make_evaluations(trial, names, parameters or {}, named=are_named(rules))
        for step in trial.finish():
            for evaluation in evaluations:
                evaluation.see(trial, step)
        folder = output if write_to is None else Path(write_to)
        return conclude(folder, trial, evaluations)


def are_named(rules: str | list[str] | None) -> bool:
    """Whether the user chose single rules."""
    return rules not in (None, "all")


def open_trial(tensors: Path) -> "JobTrial":
    """smdebug's trial of the folder. DiagnoseError without readable tensors, or without smdebug."""
    try:
        with Loading("diagnose", "smdebug and torch"):
            from diagnose.trial import JobTrial
    except ModuleNotFoundError as error:
        raise DiagnoseError(
            f"the package '{error.name}' is not installed; "
            "rules are read with smdebug==1.0.34, torch and pandas"
        ) from error
    return JobTrial(tensors)


def make_evaluations(
    trial: "JobTrial", names: list[str], parameters: Parameters, named: bool
) -> list[RuleEvaluation]:
    """The rules with their parameters.

    DiagnoseError for unknown parameters, or parameters of a rule that does not run.
    """
    given = {rule_names([name])[0]: values for name, values in parameters.items()}
    unused = [name for name in given if name not in names]
    if unused:
        raise DiagnoseError(
            f"there are parameters for {unused[0]}, which does not run; name it in --rules"
        )
    return [_make_evaluation(trial, name, given.get(name, {}), named) for name in names]


def _make_evaluation(
    trial: "JobTrial", name: str, given: dict[str, object], named: bool
) -> RuleEvaluation:
    rule_class = load(name)
    own, steps = settings(name, rule_class, given)
    if "other_trials" in own:
        folders = str(own["other_trials"]).split(",")
        own["other_trials"] = [open_other(Path(folder.strip())) for folder in folders]
    make: Callable[..., TensorRule] = rule_class  # its keywords are known by name only
    rule = make(trial, **own)
    return RuleEvaluation(name, rule, steps.start_step, steps.end_step, named)


def open_other(output: Path) -> "JobTrial":
    """Another training's trial, all of it."""
    trial = open_trial(find_tensors(output))
    trial.finish()
    return trial


def conclude(output: Path, trial: "JobTrial", evaluations: list[RuleEvaluation]) -> list[Finding]:
    """All answers, written. DiagnoseError when no step could be evaluated."""
    for file in trial.damaged:
        log.warning("diagnose: '%s' is damaged and was left out", file)
    if not trial.steps():
        broken = ""
        if trial.damaged:
            broken = f" ({len(trial.damaged)} files are damaged)"
        why = "the training crashed before one was saved"
        if not broken and (Path(trial.path) / END_FILE).exists():
            why = (
                "the hook saw none of the tensors that it was to save; losses need "
                "hook.register_loss, and a model alone needs other collections"
            )
        raise DiagnoseError(f"'{trial.path}' holds no complete step{broken}: {why}")
    findings = [evaluation.result(running=False) for evaluation in evaluations]
    write_findings(output, output.resolve().name, findings)
    return findings
