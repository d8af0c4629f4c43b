"""python -m tune.worker OUT NUMBER PARENT: one of a tuner's processes; takes trials of the search in OUT until there are none.

Ends with the tuner, whatever ends that. SIGTERM: the trial that runs is left to be done again. Its input is the URL of the storage,
empty for the file in OUT.
"""

import os
import signal
import sys
import time
from pathlib import Path

from recipes.tuning import Tuning
from runtime.die_with_parent import die_with_parent
from tune.search import load_study, steer
from tune.search_settings import SearchSettings, read_settings
from tune.storage import open_storage
from tune.trial_runners import Engine, make_engine
from tune.trial_states import ENDED, NAME, all_ended, claim, counted, open_mark, verdict
from tune.trials import run_trial

IDLE_S = 0.2


class Worker:
    """Takes trials. number: its place among the tuner's workers, from 0; opened: the tuner's mark on studies that it has opened."""

    def __init__(self, settings: SearchSettings, number: int, opened: str = ""):
        self.settings, self.number, self._opened = settings, number, opened
        self.leaving = False
        self._engine: Engine | None = None
        self.storage = open_storage(settings.out, settings.storage)

    def leave(self, *_) -> None:
        """Asked to go: the signal's handler."""
        self.leaving = True
        if self._engine:
            self._engine.stop()

    def work(self) -> None:
        """Go through the chain's tuning jobs; the tuner makes each study when those before have ended."""
        for tuning in self.settings.recipe().tuning:
            while (
                study := load_study(self.storage, tuning)
            ) is None or self._opened not in study.user_attrs:
                if self.leaving:
                    return
                time.sleep(IDLE_S)
            self._search(study, tuning)

    def _search(self, study, tuning: Tuning) -> None:
        while not self.leaving:
            trials = counted(study)
            if study.user_attrs.get(ENDED) or verdict(trials, tuning):
                if all_ended(trials):
                    return
            elif (
                self.number < tuning.budgets.parallel
                and sum(not trial.state.is_finished() for trial in trials) < tuning.budgets.parallel
            ):
                self._take(study, tuning)
                continue
            time.sleep(IDLE_S)

    def _take(self, study, tuning: Tuning) -> None:
        steer(study, tuning, self.number)
        trial = study.ask()
        if claim(trial, tuning):
            root = self.settings.tree(tuning.name, trial.user_attrs[NAME])
            run_trial(
                trial,
                tuning,
                self.engine,
                root,
                self.settings.channels,
                self.settings.keep,
                lambda: self.leaving,
            )

    @property
    def engine(self) -> Engine:
        """The engine, made when it is first needed: torch takes seconds to load."""
        if self._engine is None:
            gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "")
            self._engine = make_engine(
                self.settings.engine,
                self.settings.channels,
                self.settings.image,
                int(gpu) if gpu.isdigit() else None,
            )
        return self._engine


def main(arguments: list[str]) -> int:
    out, number, parent = arguments
    die_with_parent(int(parent))
    storage = sys.stdin.read() or None
    worker = Worker(read_settings(Path(out), storage), int(number), open_mark(int(parent)))
    signal.signal(signal.SIGTERM, worker.leave)
    worker.work()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
