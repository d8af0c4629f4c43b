"""One trial: a training job on a tree of its own, its objective read from its output by the regex.

OUT/trials/JOB/TRIAL/ is as /opt/ml (input/config, input/data, model, checkpoints, output), with
output.log beside: all that the training printed.
"""

import math
import re
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from optuna.trial import TrialState

from recipes.tuning import Tuning
from runtime import opt_ml
from tune.results import best_value
from tune.search import choose
from tune.search_settings import first_gone
from tune.storage import HEARTBEAT_S
from tune.trial_runners import Engine, Failed
from tune.trial_states import ENDED, REASON, REASON_LENGTH, TEXTS, UNMATCHED, beat, give_up

LOG_FILE = "output.log"
WATCH_S = 1.0  # from one look at whether the tuning job has ended to the next


@dataclass
class Running:
    """A trial under way. values: of its objective, in order; why: the reason to stop it, if any."""

    trial: optuna.Trial
    tuning: Tuning
    engine: Engine
    values: list[float] = field(default_factory=list)
    why: str = ""
    over: threading.Event = field(default_factory=threading.Event)

    def stop(self, why: str) -> None:
        """End its training early; it counts with the best of its values."""
        if not self.why:
            self.why = why
            self.engine.stop()

    def read(self, line: str) -> None:
        """Take the objective's values from a line. Failed for one that is not a number."""
        for match in re.finditer(self.tuning.objective.regex, line):
            value = self._value(match[1])
            self.values.append(value)
            self.trial.report(value, step=len(self.values))
            if not self.why and self.trial.should_prune():
                self.stop(self._pruned())

    def _pruned(self) -> str:
        """Why the pruner stops the trial."""
        rule = "the median rule"
        if self.tuning.strategy == "Hyperband":
            rule = "Hyperband"
        if len(self.values) == 1:
            return f"stopped by {rule} after 1 value"
        return f"stopped by {rule} after {len(self.values)} values"

    def _value(self, text: str | None) -> float:
        """A finite number. text: None where the regex's group took no part in the match."""
        try:
            value = float(text or "")
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise Failed(
                f"the objective {self.tuning.objective.metric} was printed as '{text}', "
                "which is not a number"
            )
        return value

    def watch(self) -> None:
        """Until the training is over: beat for a database, and stop when the tuning job ends."""
        beaten = 0.0
        while not self.over.wait(WATCH_S):
            # A database that is away for a while must not end the heartbeat for good.
            with suppress(optuna.exceptions.StorageInternalError):
                if time.monotonic() - beaten > HEARTBEAT_S / 3:
                    beat(self.trial)
                    beaten = time.monotonic()
                self._stop_with_its_job()

    def _stop_with_its_job(self) -> None:
        study = self.trial.study
        marks = study._storage.get_study_user_attrs(study._study_id)
        ended = marks.get(ENDED)
        if ended:
            self.stop(f"stopped as its tuning job ended: {ended}")


def run_trial(
    trial: optuna.Trial,
    tuning: Tuning,
    engine: Engine,
    root: Path,
    channels: dict[str, Path],
    keep: bool,
    leaving: Callable[[], bool],
) -> None:
    """Run a trial that this process owns to its end, whatever that is.

    leaving: whether this process was asked to leave, and the engine to stop; the trial is then left
    to be done again. So is one that failed as its photos went away.
    """
    texts = tuning.static | choose(trial, tuning)
    trial.set_user_attr(TEXTS, texts)
    shutil.rmtree(root, ignore_errors=True)
    opt_ml.lay_out(root, texts, channels, by=engine.channels_by)
    running = Running(trial, tuning, engine)
    watcher = threading.Thread(target=running.watch, name="watch", daemon=True)
    watcher.start()
    reason = ""
    try:
        with open(root / LOG_FILE, "w", encoding="utf-8") as log:

            def on_line(line: str) -> None:
                print(line, file=log, flush=True)
                running.read(line)

            if not leaving():
                engine.run(root, on_line)
    except Failed as error:
        reason = str(error)
    finally:
        running.over.set()
        watcher.join()
    lost_photos = bool(reason) and first_gone(channels) is not None
    conclude(running, reason, leaving() or lost_photos)
    if not keep:
        prune(root)


def conclude(running: Running, reason: str, leaving: bool) -> None:
    """Write into the study how a trial ended. reason: of its failure, empty without one."""
    trial = running.trial
    stopped_in_time = bool(running.why) and not reason
    if leaving and not stopped_in_time:
        study = trial.study
        give_up(study, study._storage.get_trial(trial._trial_id), blame=False)
    elif reason:
        _end(trial, TrialState.FAIL, reason=reason)
    elif running.why:
        _end(trial, TrialState.PRUNED, reason=running.why)
    elif not running.values:
        objective = running.tuning.objective
        never = (
            f"the objective {objective.metric} was never printed: "
            f"no line of the output matches the regex '{objective.regex}'"
        )
        trial.set_user_attr(UNMATCHED, True)
        _end(trial, TrialState.FAIL, reason=never)
    else:
        best = best_value(running.values, running.tuning.objective.direction)
        _end(trial, TrialState.COMPLETE, value=best)


def _end(
    trial: optuna.Trial, state: TrialState, value: float | None = None, reason: str = ""
) -> None:
    if reason:
        sentence = " ".join(reason.split())
        # Before the end of the trial: storages refuse to change one that has ended.
        trial.set_user_attr(REASON, sentence[:REASON_LENGTH])
    trial.study.tell(trial, value, state=state)


def prune(root: Path) -> None:
    """Keep of a tree its hyperparameters, log and outputs; not the model, checkpoints, photos."""
    for folder in ("input/data", "model", "checkpoints"):
        shutil.rmtree(root / folder, ignore_errors=True)
