"""python -m tune.worker OUT NUMBER PARENT: takes trials of the search in OUT until none is left.

One of a tuner's processes; it ends with the tuner, whatever ends that. SIGTERM: the trial that runs
is left to be done again. Its input is the URL of the storage, empty for the file in OUT.
"""

import os
import signal
import sys
import time
from pathlib import Path

import optuna

from artifact.host.starting import Loading
from artifact.text.names import printable
from recipes.tuning import Tuning
from tune.configurations import give_another_if_repeated, without_repetition
from tune.errors import SearchError
from tune.search import steer
from tune.search_settings import SearchSettings, read_settings
from tune.storage import FileLock, answering, open_storage
from tune.study import load_study
from tune.trial_runners import Engine, make_engine
from tune.trial_states import ENDED, NAME, all_ended, claim, counted, open_mark, verdict
from tune.trials import run_trial

IDLE_S = 0.2
ARGUMENTS = 3
FAILED = 1
USAGE = 2
DRAW_LOCK = "draw.lock"  # in the output folder


class Worker:
    """Takes trials.

    number: its place among the tuner's workers, from 0; opened: the tuner's mark on studies that
    it has opened.
    """

    def __init__(self, settings: SearchSettings, number: int, opened: str = "") -> None:
        self.settings = settings
        self.number = number
        self.storage = open_storage(settings.out, settings.storage)
        self.leaving = False
        self._opened = opened
        self._engine: Engine | None = None

    def leave(self, *_: object) -> None:
        """Leave soon; a signal's handler."""
        self.leaving = True
        if self._engine:
            self._engine.stop()

    def work(self) -> None:
        """Go through the chain's tuning jobs.

        The tuner makes each study when the jobs before it have ended.
        """
        for tuning in map(without_repetition, self.settings.recipe().tuning):
            study = self._opened_study(tuning)
            while study is None:
                if self.leaving:
                    return
                time.sleep(IDLE_S)
                study = self._opened_study(tuning)
            self._search(study, tuning)

    def _opened_study(self, tuning: Tuning) -> optuna.Study | None:
        """The tuning job's study once this worker's tuner has opened it, else None."""
        study = load_study(self.storage, tuning)
        if study is None or self._opened not in study.user_attrs:
            return None
        return study

    def _search(self, study: optuna.Study, tuning: Tuning) -> None:
        """Take trials of one tuning job until it has ended."""
        parallel = tuning.budgets.parallel
        while not self.leaving:
            trials = counted(study)
            running = sum(not trial.state.is_finished() for trial in trials)
            if study.user_attrs.get(ENDED) or verdict(trials, tuning):
                if all_ended(trials):
                    return
            elif self.number < parallel and running < parallel:
                self._take(study, tuning)
                continue
            time.sleep(IDLE_S)

    def _take(self, study: optuna.Study, tuning: Tuning) -> None:
        self.settings.check_photos_there()
        steer(study, tuning, self.number)
        # One worker at a time draws: of two, each would miss what the other has just drawn.
        with FileLock(self.settings.out / DRAW_LOCK):
            trial = study.ask()
            ours = claim(trial, tuning) and not give_another_if_repeated(trial, tuning)
        if ours:
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
            given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
            gpu = None
            if given.isdigit():
                gpu = int(given)
            with Loading("worker", "torch"):
                self._engine = make_engine(self.settings, gpu)
        return self._engine


def main(arguments: list[str]) -> int:
    """Work; 0 when no trial is left, or when it was asked to leave."""
    if len(arguments) != ARGUMENTS:
        print(__doc__)
        return 0 if {"-h", "--help"} & set(arguments) else USAGE
    out, number, parent = arguments
    storage = sys.stdin.read() or None
    settings = read_settings(Path(out), storage)
    try:
        worker = Worker(settings, int(number), open_mark(int(parent)))
        signal.signal(signal.SIGTERM, worker.leave)
        with answering(storage):
            worker.work()
    except SearchError as error:  # the tuner quotes the last line
        print(f"worker: failed: {printable(str(error))}", file=sys.stderr)
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
