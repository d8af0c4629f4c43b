"""Rules over a training's tensors: once over all that is there, or step by step beside the training.

Every wait is bounded: a trial that brings no new step for `timeout_s`, or whose process has died, is at its end.
"""

import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from diagnose.findings import (
    ERROR,
    IN_PROGRESS,
    ISSUES,
    NONE,
    NOT_JUDGED,
    DiagnoseError,
    Finding,
    now,
    write_findings,
)
from diagnose.locate import Training, find_tensors, tensors_or_none
from diagnose.registry import load, rule_names, settings
from diagnose.smdebug_compat import load_smdebug

POLL_S = 0.5
TIMEOUT_S = 1800.0  # as the threshold of SageMaker's StalledTrainingRule

log = logging.getLogger(__name__)


@dataclass
class Watch:
    """One rule on its way through the steps."""

    name: str
    rule: object
    first: int
    end: int | None
    asked: bool
    finding: Finding | None = None

    def see(self, trial, step: int) -> Finding | None:
        """Ask the rule about a step; the finding if it fired or broke just now. A rule that fired is done, as on SageMaker."""
        from smdebug.exceptions import RuleEvaluationConditionMet, SMDebugError

        if (
            self.finding is not None
            or step < self.first
            or (self.end is not None and step >= self.end)
        ):
            return None
        try:
            self.rule.invoke(step)
        except RuleEvaluationConditionMet:
            self.finding = self._issue(trial)
        except SMDebugError:
            pass  # a tensor that this step lacks
        except Exception as error:  # one rule's fault is told with its name; the others go on
            log.debug("rule %s broke", self.name, exc_info=True)
            self.finding = Finding(
                self.name,
                ERROR,
                f"broke at step {step}: {type(error).__name__}: {error}",
                step=step,
                seconds=now(),
            )
        return self.finding

    def _issue(self, trial) -> Finding:
        found = self.rule.violation
        mode, mode_step = trial.mode_modestep(found.step)
        return Finding(
            self.name,
            ISSUES,
            found.sentence,
            self.rule.advice,
            found.step,
            mode.name if mode else "",
            mode_step,
            found.tensor,
            found.value,
            found.threshold,
            self.rule.steps_evaluated,
            now(),
        )

    def result(self, running: bool) -> Finding:
        """The answer as it stands."""
        if self.finding is not None:
            return self.finding
        if self.rule.steps_evaluated:
            word = IN_PROGRESS if running else NONE
            return Finding(
                self.name,
                word,
                f"no issue in {self.rule.steps_evaluated} saved steps",
                steps=self.rule.steps_evaluated,
                seconds=now(),
            )
        status = IN_PROGRESS if running else ERROR if self.asked else NOT_JUDGED
        return Finding(self.name, status, f"not judged: it needs {self.rule.needs}", seconds=now())


def evaluate_tensors(
    output: str | os.PathLike,
    rules: str | list[str] | None = None,
    parameters: dict[str, dict] | None = None,
    write_to: str | os.PathLike | None = None,
) -> list[Finding]:
    """Run rules over the tensors that lie under `output`, write findings.json there, or to the folder `write_to`, and return a finding for each rule.

    rules: names, "all", or None for those that need no more than a training. parameters: {rule: {name: value or text}}.
    DiagnoseError when there are no tensors, or a name is unknown; OSError when findings.json cannot be written.
    """
    output = Path(output)
    names = rule_names(rules)
    tensors = find_tensors(output)
    with load_smdebug():
        trial = open_trial(tensors)
        watches = make_watches(trial, names, parameters or {}, asked=rules not in (None, "all"))
        for step in trial.finish():
            for watch in watches:
                watch.see(trial, step)
        return _conclude(output if write_to is None else Path(write_to), trial, watches)


def follow(
    output: str | os.PathLike,
    rules: str | list[str] | None = None,
    parameters: dict[str, dict] | None = None,
    *,
    on_fire: Callable[[Finding], None] = lambda finding: None,
    stop: bool = False,
    stop_pid: int | None = None,
    timeout_s: float = TIMEOUT_S,
) -> list[Finding]:
    """As `diagnose`, beside the training, until it ends; `on_fire` is called as a rule fires. With `stop` the first rule that
    fires sends SIGTERM to the training: to stop_pid, else to the process that our hook noted beside the tensors.

    DiagnoseError also when nothing comes for timeout_s, when that process died, or when it cannot be stopped.
    """
    output = Path(output)
    names = rule_names(rules)
    with load_smdebug():
        trial = _await_trial(output, timeout_s)
        tensors = Path(trial.path)
        watches = make_watches(trial, names, parameters or {}, asked=rules not in (None, "all"))
        if stop and stop_pid is None:
            stop_pid = _pid_to_stop(Training.of(tensors), tensors)
        ending = None
        seen: set[int] = set()
        changed = time.monotonic()
        while True:
            training = Training.of(tensors)
            over = (
                training.ended or training.runs() is False
            )  # asked before reading: what was saved before the end is then seen
            steps = trial.finish() if over else trial.refresh()
            new = [step for step in steps if step not in seen]
            for step in new:
                seen.add(step)
                changed = time.monotonic()
                for watch in watches:
                    found = watch.see(trial, step)
                    if found is None:
                        continue
                    on_fire(found)
                    if stop and found.fired:
                        stop = False
                        if not over:  # its pid may be another's by now
                            stop_training(stop_pid, found)
            if over:
                ending = (
                    None
                    if training.ended
                    else "the training's process ended without closing its tensors: it crashed or was killed"
                )
                break
            if time.monotonic() - changed > timeout_s:
                ending = f"no new step came for {timeout_s:g} s: the training hangs, or was killed"
                break
            if new:
                write_findings(
                    output, output.resolve().name, [watch.result(running=True) for watch in watches]
                )
            time.sleep(POLL_S)
        findings = _conclude(output, trial, watches)
    if ending and not any(finding.fired for finding in findings):
        raise DiagnoseError(ending)
    if ending:
        log.warning("diagnose: %s", ending)
    return findings


def open_trial(tensors: Path):
    """smdebug's trial of the folder. DiagnoseError without readable tensors, or without smdebug."""
    try:
        from diagnose.trial import JobTrial
    except ModuleNotFoundError as error:
        raise DiagnoseError(
            f"the package '{error.name}' is not installed; rules are read with smdebug==1.0.34, torch and pandas"
        ) from error
    return JobTrial(tensors)


def make_watches(trial, names: list[str], parameters: dict[str, dict], asked: bool) -> list[Watch]:
    """The rules with their parameters. DiagnoseError for unknown parameters, or parameters of a rule that does not run."""
    given = {rule_names([name])[0]: values for name, values in parameters.items()}
    if unused := [name for name in given if name not in names]:
        raise DiagnoseError(
            f"there are parameters for {unused[0]}, which does not run; name it in --rules"
        )
    watches = []
    for name in names:
        rule = load(name)
        own, common = settings(name, rule, given.get(name, {}))
        if "other_trials" in own:
            own["other_trials"] = [
                open_other(Path(path.strip())) for path in own["other_trials"].split(",")
            ]
        watches.append(
            Watch(name, rule(trial, **own), common["start_step"] or 0, common["end_step"], asked)
        )
    return watches


def open_other(output: Path):
    """Another training's trial, all of it."""
    trial = open_trial(find_tensors(output))
    trial.finish()
    return trial


def stop_training(pid: int, finding: Finding) -> None:
    """Ask a training to end, as SageMaker's StopTrainingJob does. DiagnoseError when it cannot be asked."""
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return  # it has just ended by itself
    except PermissionError as error:
        raise DiagnoseError(
            f"{finding.rule} fired, but process {pid} may not be stopped by this user; run as the training's user"
        ) from error
    log.warning("diagnose: %s fired: SIGTERM sent to the training's process %d", finding.rule, pid)


def _pid_to_stop(training: Training, tensors: Path) -> int:
    if training.pid is None:
        raise DiagnoseError(
            f"'{tensors}' does not say which process trains; name it with --stop-pid"
        )
    if not training.is_here:
        raise DiagnoseError(
            f"the training runs on '{training.host}', not here; run there, or name its process with --stop-pid"
        )
    return training.pid


def _await_trial(output: Path, timeout_s: float):
    """The trial once its first step is saved. DiagnoseError when none comes in time."""
    started = time.monotonic()
    while True:
        tensors = tensors_or_none(output)
        if tensors is not None and any((tensors / "collections").rglob("*collections.json")):
            return open_trial(tensors)
        training = Training.of(tensors) if tensors else Training()
        if training.runs() is False:
            raise DiagnoseError(
                f"'{tensors}' holds no collections file: the training ended, or crashed, before its first step was saved"
            )
        if time.monotonic() - started > timeout_s:
            raise DiagnoseError(
                f"no tensors came under '{output}' in {timeout_s:g} s; train with debug=true"
            )
        time.sleep(POLL_S)


def _conclude(output: Path, trial, watches: list[Watch]) -> list[Finding]:
    """All answers, written; DiagnoseError when there was nothing to judge at all."""
    for file in trial.damaged:
        log.warning("diagnose: '%s' is damaged and was left out", file)
    if not trial.steps():
        broken = f" ({len(trial.damaged)} files are damaged)" if trial.damaged else ""
        raise DiagnoseError(
            f"'{trial.path}' holds no complete step{broken}: the training crashed before one was saved"
        )
    findings = [watch.result(running=False) for watch in watches]
    write_findings(output, output.resolve().name, findings)
    return findings
