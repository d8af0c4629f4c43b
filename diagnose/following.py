"""Rules beside a training that runs: step by step, until it ends; a rule can stop it.

Every wait is bounded: the end is when no new step comes for `timeout_s`, or the process has died.
"""

import logging
import math
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from diagnose.evaluation import (
    RuleEvaluation,
    are_named,
    conclude,
    make_evaluations,
    open_trial,
)
from diagnose.findings import DiagnoseError, Finding, write_findings
from diagnose.locate import ADVICE, Training, tensors_or_none, will_save_tensors
from diagnose.registry import Parameters, rule_names
from diagnose.smdebug_compat import load_smdebug

if TYPE_CHECKING:  # the module loads smdebug
    from diagnose.trial import JobTrial

POLL_S = 0.5
SAY_EVERY_S = 10.0
TIMEOUT_S = 1800.0  # as the threshold of SageMaker's StalledTrainingRule
CRASHED = "the training's process ended without closing its tensors: it crashed or was killed"

log = logging.getLogger(__name__)


def follow(
    output: str | os.PathLike[str],
    rules: str | list[str] | None = None,
    parameters: Parameters | None = None,
    *,
    on_fire: Callable[[Finding], None] = lambda finding: None,
    stop: bool = False,
    stop_pid: int | None = None,
    timeout_s: float = TIMEOUT_S,
) -> list[Finding]:
    """As `evaluate_tensors`, beside the training, until it ends.

    on_fire is called when a rule fires. With `stop` the first rule that fires sends SIGTERM to the
    training: to stop_pid, else to the process that our hook noted beside the tensors.
    DiagnoseError also when nothing comes for timeout_s, when that process died, or when it cannot
    be stopped.
    """
    output = Path(output)
    names = rule_names(rules)
    with load_smdebug():
        trial = _await_trial(output, timeout_s)
        evaluations = make_evaluations(trial, names, parameters or {}, named=are_named(rules))
        tensors = Path(trial.path)
        if not stop:
            stop_pid = None
        elif stop_pid is None:
            stop_pid = _pid_to_stop(Training.of(tensors), tensors)
        following = _Following(output, trial, evaluations, on_fire, stop_pid)
        ending = following.run(timeout_s)
        findings = conclude(output, trial, evaluations)
    if not ending:
        return findings
    if not any(finding.fired for finding in findings):
        raise DiagnoseError(ending)
    log.warning("diagnose: %s", ending)
    return findings


@dataclass
class _Following:
    """A training that is followed. pid_to_stop: None when no rule shall stop it, or one has."""

    output: Path
    trial: "JobTrial"
    evaluations: list[RuleEvaluation]
    on_fire: Callable[[Finding], None]
    pid_to_stop: int | None
    seen: set[int] = field(default_factory=set)  # steps

    def run(self, timeout_s: float) -> str:
        """Evaluate until the training ends. A sentence when it did not end regularly, else ""."""
        tensors = Path(self.trial.path)
        changed = time.monotonic()
        while True:
            training = Training.of(tensors)
            # Asked before the steps are read: those saved before the end are then all seen.
            over = training.ended or training.runs() is False
            new = self._new_steps(over)
            if new:
                changed = time.monotonic()
            for step in new:
                self._evaluate(step, over)
            if over:
                return "" if training.ended else CRASHED
            if time.monotonic() - changed > timeout_s:
                return f"no new step came for {timeout_s:g} s: the training hangs, or was killed"
            if new:
                self._write()  # for readers of findings.json while the training runs
            time.sleep(POLL_S)

    def _new_steps(self, over: bool) -> list[int]:
        steps = self.trial.finish() if over else self.trial.refresh()
        new = [step for step in steps if step not in self.seen]
        self.seen.update(new)
        return new

    def _evaluate(self, step: int, over: bool) -> None:
        for evaluation in self.evaluations:
            finding = evaluation.see(self.trial, step)
            if finding is None:
                continue
            self.on_fire(finding)
            if finding.fired and self.pid_to_stop is not None:
                if not over:  # after its end the pid may be another process's
                    stop_training(self.pid_to_stop, finding)
                self.pid_to_stop = None

    def _write(self) -> None:
        findings = [evaluation.result(running=True) for evaluation in self.evaluations]
        write_findings(self.output, self.output.resolve().name, findings)


def stop_training(pid: int, finding: Finding) -> None:
    """Ask a training to end, as SageMaker's StopTrainingJob does. DiagnoseError if forbidden."""
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return  # it has just ended by itself
    except PermissionError as error:
        raise DiagnoseError(
            f"{finding.rule} fired, but process {pid} may not be stopped by this user; "
            "run as the training's user"
        ) from error
    log.warning("diagnose: %s fired: SIGTERM sent to the training's process %d", finding.rule, pid)


def _pid_to_stop(training: Training, tensors: Path) -> int:
    if training.pid is None:
        raise DiagnoseError(
            f"'{tensors}' does not say which process trains; name it with --stop-pid"
        )
    if not training.is_here:
        raise DiagnoseError(
            f"the training runs on '{training.host}', not here; "
            "run there, or name its process with --stop-pid"
        )
    return training.pid


def _await_trial(output: Path, timeout_s: float) -> "JobTrial":
    """The trial once its first step is saved. DiagnoseError when none will come, or not in time."""
    if not output.exists() and not output.absolute().parent.exists():
        raise DiagnoseError(
            f"the folder '{output}' does not exist, so no training saves tensors there; {ADVICE}"
        )
    started = time.monotonic()
    said = -math.inf
    while True:
        tensors = tensors_or_none(output)
        if tensors is not None and any((tensors / "collections").rglob("*collections.json")):
            return open_trial(tensors)
        if tensors is None and not will_save_tensors(output):
            raise DiagnoseError(f"the training of '{output}' saves no tensors; {ADVICE}")
        training = Training.of(tensors) if tensors else Training()
        if training.runs() is False:
            raise DiagnoseError(
                f"'{tensors}' holds no collections file: "
                "the training ended, or crashed, before its first step was saved"
            )
        now = time.monotonic()
        if now - started > timeout_s:
            raise DiagnoseError(f"no tensors came under '{output}' in {timeout_s:g} s; {ADVICE}")
        if now - said > SAY_EVERY_S:
            log.info(
                "diagnose: no tensors are saved yet: waiting for the first tensors under '%s', "
                "for %g s at most; a training with debug=true saves them",
                output,
                timeout_s,
            )
            said = now
        time.sleep(POLL_S)
