"""The tuner itself: makes each tuning job's study, keeps its workers going, writes the results after every change, and tells of each trial.

It trains nothing and loads no torch.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import yaml

from artifact.machine import cpu_count
from artifact.model import write_atomically
from recipes.recipe import Recipe
from recipes.tuning import Tuning
from tune.errors import SearchError
from tune.interruption import Interruption
from tune.results import Trial, TuningJob, write_results
from tune.search import make_study
from tune.search_settings import BEST_FILE, BEST_RECIPE_FILE, RESULTS_FILE, SearchSettings
from tune.storage import open_storage, repair
from tune.table import progress
from tune.trial_states import (
    ENDED,
    all_ended,
    counted,
    ended_early,
    form,
    open_mark,
    requeue_orphans,
    verdict,
)
from tune.warm_start import legal, overall_best, parents_of

LOOK_S = 0.3  # from one look at the study to the next
PROGRESS_S = 30.0  # without a line until it is told how running trials stand
SPENT_S = 10.0  # from one note of the time spent to the next
SPENT = "slipway_spent/"  # and a host's name: user attribute of a study
LEAVE_S = 140.0  # what workers get to leave in: a training's own 120 s and some
MOST_DEATHS = 3  # of one worker in a row, with no trial finished in between


class Tuner:
    """A chain of tuning jobs under way on this machine."""

    def __init__(self, settings: SearchSettings, workers: int, gpus: list[str]):
        self.settings, self.recipe = settings, settings.recipe()
        repair(settings.out)
        self.storage = open_storage(settings.out, settings.storage)
        self.known = (
            settings.known_parents()
        )  # of other searches, and of this one those that have ended
        self.done: dict[str, TuningJob] = {}
        self._workers = [
            WorkerProcess(settings, number, workers, gpus) for number in range(workers)
        ]
        self._told: set[str] = set()
        self._current: tuple | None = None  # study and tuning job
        self._written: tuple[TuningJob, ...] = ()
        self._best: Trial | None = None
        self._shown = time.monotonic()

    def run(self) -> None:
        """All tuning jobs of the chain, one after the other. SearchError when it cannot go on."""
        with Interruption() as interruption:
            try:
                for worker in self._workers:
                    worker.start()
                for tuning in self.recipe.tuning:
                    self._search(tuning, interruption)
            finally:
                self.leave()

    def leave(self) -> None:
        """End the workers tidily, and write how far the search came."""
        for worker in self._workers:
            worker.ask_to_leave()
        deadline = time.monotonic() + LEAVE_S
        for worker in self._workers:
            worker.end(deadline)
        if self._current:
            study, tuning = self._current
            requeue_orphans(study, no_owner_s=0 if self.settings.storage is None else 30)
            self._write(form(study, tuning, "Stopped"))

    def _search(self, tuning: Tuning, interruption: Interruption) -> None:
        """One tuning job from its start, or where it was left, to its end."""
        parents = parents_of(tuning, self.known)
        imported = [(parent.name, trial) for parent in parents for trial in legal(tuning, parent)]
        study = make_study(self.storage, tuning, imported)
        self._current = study, tuning
        clock = Clock(study)
        study.set_user_attr(ENDED, None)  # a budget may have been raised
        study.set_user_attr(open_mark(os.getpid()), True)
        names = ", ".join(entry.name for entry in tuning.ranges)
        tell(
            f"{tuning.name}: {tuning.strategy} search of {names}; {_budgets(tuning)}{_started_from(tuning, parents, imported)}"
        )
        self._told = {
            trial.name for trial in form(study, tuning, "").trials if trial.status != "InProgress"
        }
        if self._told:
            tell(f"{tuning.name}: going on; {len(self._told)} of its trials are there")
        requeue_orphans(study, no_owner_s=0 if self.settings.storage is None else 30)
        while not self._look(study, tuning, clock):
            interruption.sleep(LOOK_S)
        self._current = None
        self._conclude(form(study, tuning, "Completed"), parents, study.user_attrs.get(ENDED))

    def _look(self, study, tuning: Tuning, clock: "Clock") -> bool:
        """One look at all that may have changed; whether the tuning job has ended."""
        gone = [worker for worker in self._workers if worker.gone()]
        for name in requeue_orphans(study):
            tell(f"{name}: its process was killed; it is to be done again")
        trials = counted(study)
        elapsed_s, told = (
            clock.elapsed(tuning.budgets.time_s is not None),
            study.user_attrs.get(ENDED),
        )
        if (early := ended_early(trials, tuning, elapsed_s)) and not told:
            study.set_user_attr(
                ENDED, early
            )  # workers begin no more; that none has meanwhile, the next look tells
            clock.note()
        reason = verdict(trials, tuning, elapsed_s)
        job = form(study, tuning, "InProgress")
        self._write(job)
        self._tell_finished(job, tuning)
        if time.monotonic() - self._shown > PROGRESS_S and not all_ended(trials):
            self._shown = time.monotonic()
            print(progress((job,), tuning.budgets.jobs), flush=True)
        over = bool(reason) and all_ended(trials) and bool(told or not early)
        for worker in () if over else gone:
            tell(worker.again(len(self._told)))
        return over

    def _conclude(self, job: TuningJob, parents: list[TuningJob], ended: str | None) -> None:
        best = job.best()
        if best is None:
            job = TuningJob(**{**vars(job), "status": "Failed"})
        self.done[job.name] = self.known[job.name] = job
        self._write(job)
        if best is None:
            first = next(
                (f"; the first: {trial.reason}" for trial in job.trials if trial.reason), ""
            )
            raise SearchError(
                f"tuning job {job.name}: none of its {len(job.trials)} trials told an objective{first}"
            )
        text = f"{job.name}: best {best.name} {job.objective}={best.objective:.6g}, {len(job.trials)} trial{'s' * (len(job.trials) != 1)}"
        text += f"; ended: {ended}" if ended else ""
        if (overall := overall_best(job, parents)) and overall[1] is not best:
            text += f"; best over its parents, too: {overall[1].name} {overall[1].objective:.6g}"
        tell(text)

    def _tell_finished(self, job: TuningJob, tuning: Tuning) -> None:
        best = job.best()
        for trial in job.trials:
            if trial.status == "InProgress" or trial.name in self._told:
                continue
            self._told.add(trial.name)
            self._shown = time.monotonic()
            objective = "" if trial.objective is None else f" {job.objective}={trial.objective:.6g}"
            tuned = " ".join(
                f"{name}={_short(trial.hyperparameters[name])}" for name in trial.tuned
            )
            so_far = f"; {len(self._told)} of {tuning.budgets.jobs}" + (
                f", best {best.objective:.6g}" if best else ""
            )
            tell(
                f"{trial.name}: {trial.status}{objective} {tuned}{f' ({trial.reason})' if trial.reason else ''}{so_far}"
            )

    def _write(self, job: TuningJob) -> None:
        """tuning.json, and the best hyperparameters; nothing when nothing changed."""
        jobs = tuple((self.done | {job.name: job}).values())
        if jobs == self._written:
            return
        self._written = jobs
        write_results(self.settings.out / RESULTS_FILE, jobs)
        best = overall_best(job, [self.known[name] for name in job.parents])
        if best and best[1] != self._best:
            self._best = best[1]
            write_best(self.settings, self.recipe, best[1])


class WorkerProcess:
    """One `python -m tune.worker`, started again when it dies."""

    def __init__(self, settings: SearchSettings, number: int, workers: int, gpus: list[str]):
        self.settings, self.number = settings, number
        share = max(1, cpu_count() // workers)
        given = os.environ.get("OMP_NUM_THREADS", "")
        threads = str(min(share, int(given)) if given.isdigit() and int(given) else share)
        self._environment = (
            os.environ
            | {"OMP_NUM_THREADS": threads, "PYTHONUNBUFFERED": "1"}
            | ({"CUDA_VISIBLE_DEVICES": gpus[number]} if gpus else {})
        )
        self._process: subprocess.Popen | None = None
        self._deaths, self._finished = 0, 0

    def start(self) -> None:
        """Start it; what it prints goes to a file in the output folder."""
        with open(self._log, "ab") as log:
            # a session of its own: Ctrl-C is for the tuner, which passes it on
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tune.worker",
                    str(self.settings.out),
                    str(self.number),
                    str(os.getpid()),
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        with (
            self._process.stdin as told
        ):  # not among its arguments or in a file: a database's URL may hold a password
            told.write((self.settings.storage or "").encode())

    def gone(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def again(self, finished: int) -> str:
        """Start it again; a sentence on how it ended. finished: trials so far. SearchError when it fails again and again."""
        code = self._process.returncode
        self._deaths = self._deaths + 1 if finished == self._finished else 1
        self._finished = finished
        cause = (
            f"was killed by signal {signal.Signals(-code).name}"
            if code < 0
            else f"ended with code {code}"
        )
        if self._deaths >= MOST_DEATHS and code >= 0:
            last = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise SearchError(
                f"worker {self.number} {cause}, {self._deaths} times in a row: {''.join(last)} (see '{self._log}')"
            )
        self.start()
        return f"worker {self.number} {cause}; started again"

    @property
    def _log(self) -> Path:
        return self.settings.out / f"worker-{self.number}.log"

    def ask_to_leave(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def end(self, deadline: float) -> None:
        """Wait until it has left, or kill it."""
        if self._process:
            try:
                self._process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Clock:
    """The seconds that a tuning job ran, those of runs before this one included, kept in its study."""

    def __init__(self, study):
        self.study, self.name = study, f"{SPENT}{socket.gethostname()}"
        self.before = study.user_attrs.get(self.name, 0.0)
        self.started = self.noted = time.monotonic()

    def elapsed(self, counts: bool) -> float:
        """Seconds on the machine that was at it longest. counts: whether anybody asks: else nothing is kept."""
        if not counts:
            return 0.0
        if time.monotonic() - self.noted > SPENT_S:
            self.note()
        others = [value for name, value in self.study.user_attrs.items() if name.startswith(SPENT)]
        return max([self._own(), *others])

    def note(self) -> None:
        """Keep what was spent so far."""
        self.noted = time.monotonic()
        self.study.set_user_attr(self.name, self._own())

    def _own(self) -> float:
        return self.before + time.monotonic() - self.started


def write_best(settings: SearchSettings, recipe: Recipe, best: Trial) -> None:
    """The best trial's hyperparameters: as a training job's hyperparameters.json, and as a recipe, the search's without its tuning jobs."""
    write_atomically(
        settings.out / BEST_FILE, (json.dumps(best.hyperparameters, indent=2) + "\n").encode()
    )
    values = {
        name: yaml.safe_load(text) if text else text for name, text in best.hyperparameters.items()
    }
    document = (
        {"name": recipe.name}
        | {name: part for name, part in settings.document.items() if name != "tuning"}
        | {"hyperparameters": values}
    )
    write_atomically(
        settings.out / BEST_RECIPE_FILE, yaml.safe_dump(document, sort_keys=False).encode()
    )


def tell(sentence: str) -> None:
    print(f"tune: {sentence}", flush=True)


def _budgets(tuning: Tuning) -> str:
    budgets = tuning.budgets
    parts = [f"{budgets.jobs} training jobs", f"{budgets.parallel} at once"]
    parts += [f"{budgets.time_s} s"] * (budgets.time_s is not None) + [
        f"target {budgets.target}"
    ] * (budgets.target is not None)
    return ", ".join(parts)


def _started_from(tuning: Tuning, parents: list[TuningJob], imported: list) -> str:
    if not parents:
        return ""
    there = sum(trial.objective is not None for parent in parents for trial in parent.trials)
    return f"; starts from {', '.join(tuning.parents)}: {len(imported)} of {there} results lie within its ranges"


def _short(text: str) -> str:
    try:
        return text if text.isdigit() else f"{float(text):.6g}"
    except ValueError:
        return text
