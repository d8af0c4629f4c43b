"""One trial: a training job on a tree of its own, its objective read by the regex from what it prints, told to the study.

OUT/trials/JOB/TRIAL/  as /opt/ml: input/config, input/data, model, checkpoints, output; and output.log, all that the training printed
"""

import math
import re
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from optuna.trial import TrialState

from recipes.tuning import Tuning
from runtime import opt_ml
from tune.search import choose
from tune.storage import HEARTBEAT_S
from tune.trial_runners import Engine, Failed
from tune.trial_states import ENDED, REASON, TEXTS, give_up

LOG_FILE = "output.log"
WATCH_S = 1.0  # from one look at whether the tuning job has ended to the next


@dataclass
class Running:
    """A trial under way. told: its values in order; why: why it is being stopped, if it is."""

    trial: optuna.Trial
    tuning: Tuning
    engine: Engine
    told: list[float] = field(default_factory=list)
    why: str = ""
    over: threading.Event = field(default_factory=threading.Event)

    def stop(self, why: str) -> None:
        """End its training early; it counts with its last value."""
        if not self.why:
            self.why = why
            self.engine.stop()

    def read(self, line: str) -> None:
        """Take what a line says of the objective. Failed for what is no number."""
        for match in re.finditer(self.tuning.objective.regex, line):
            try:
                value = float(match[1])
            except (TypeError, ValueError):
                value = math.nan
            if not math.isfinite(value):
                raise Failed(
                    f"the objective {self.tuning.objective.metric} was printed as '{match[1]}', which is no number"
                )
            self.told.append(value)
            self.trial.report(value, len(self.told))
            if not self.why and self.trial.should_prune():
                rule = "Hyperband" if self.tuning.strategy == "Hyperband" else "the median rule"
                self.stop(
                    f"stopped by {rule} after {len(self.told)} value{'s' * (len(self.told) > 1)}"
                )

    def watch(self) -> None:
        """Until the training is over: stop it when its tuning job ends, and tell a database that it is alive."""
        storage, heartbeat = (
            self.trial.study._storage,
            getattr(self.trial.study._storage, "record_heartbeat", None),
        )
        beaten = 0.0
        while not self.over.wait(WATCH_S):
            if heartbeat and time.monotonic() - beaten > HEARTBEAT_S / 3:
                beaten = time.monotonic()
                heartbeat(self.trial._trial_id)
            if ended := storage.get_study_user_attrs(self.trial.study._study_id).get(ENDED):
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
    """Run a trial that this process owns to its end, whatever that is. leaving: whether this process was asked to go, and the engine to
    stop: the trial is then left to be done again."""
    texts = tuning.static | choose(trial, tuning)
    trial.set_user_attr(TEXTS, texts)
    shutil.rmtree(root, ignore_errors=True)
    opt_ml.lay_out(root, texts, channels, by="folder" if engine.links else "mount")
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
    conclude(running, reason, leaving())
    if not keep:
        prune(root)


def conclude(running: Running, reason: str, leaving: bool) -> None:
    """Tell the study how a trial ended."""
    trial, study, tuning = running.trial, running.trial.study, running.tuning
    if leaving and not (running.why and not reason):
        give_up(study, study._storage.get_trial(trial._trial_id), blame=False)
    elif reason:
        _tell(trial, TrialState.FAIL, reason=reason)
    elif running.why:
        _tell(trial, TrialState.PRUNED, reason=running.why)
    elif not running.told:
        _tell(
            trial,
            TrialState.FAIL,
            reason=f"the objective {tuning.objective.metric} was never printed: no line of the output matches "
            f"the regex '{tuning.objective.regex}'",
        )
    else:
        _tell(trial, TrialState.COMPLETE, value=running.told[-1])


def _tell(
    trial: optuna.Trial, state: TrialState, value: float | None = None, reason: str = ""
) -> None:
    if reason:
        trial.set_user_attr(REASON, " ".join(reason.split())[:1024])
    trial.study.tell(trial, value, state=state)


def prune(root: Path) -> None:
    """Leave of a tree what tells of its training: hyperparameters, log, outputs; not the model, checkpoints and photos."""
    for folder in ("input/data", "model", "checkpoints"):
        shutil.rmtree(root / folder, ignore_errors=True)
