"""The tuner: makes each tuning job's study, keeps its workers going, and writes the results.

It prints a line for each trial. It trains nothing and loads no torch.
"""

import os
import time
from contextlib import suppress
from dataclasses import replace

import optuna

from recipes.recipe import Recipe
from recipes.terminal import Bar
from recipes.tuning import Tuning
from tune.best_files import write_best
from tune.clock import Clock
from tune.configurations import without_repetition
from tune.errors import SearchError
from tune.initial_trials import check_same_search
from tune.interruption import Interruption
from tune.live_page import LivePage
from tune.own_values import first_values
from tune.ranking import counted_trials
from tune.results import ResultsError, Trial, TuningJob, read_results, write_results
from tune.search_settings import RESULTS_FILE, SearchSettings
from tune.storage import STUDY_FILE, StorageGone, StudyGone, answering, open_storage, repair
from tune.study import make_study
from tune.table import progress
from tune.trial_states import (
    ENDED,
    NO_OWNER_S,
    all_ended,
    counted,
    ended_early,
    form,
    open_mark,
    requeue_orphans,
    verdict,
)
from tune.tuner_lines import (
    budgets_line,
    fewer_line,
    finished_line,
    parents_line,
    running_words,
)
from tune.warm_start import legal, overall_best, parents_of
from tune.worker_process import WorkerProcess

LOOK_S = 0.3  # from one look at the study to the next
PROGRESS_S = 30.0  # without a line until the state of running trials is printed
LEAVE_S = 140.0  # that workers get to leave: a training's own 120 s and some


class Tuner:
    """A chain of tuning jobs under way on this machine."""

    def __init__(self, settings: SearchSettings, workers: int, gpus: list[str]) -> None:
        self.settings = settings
        self.recipe: Recipe = settings.recipe()
        # They fill a study again whose file a cleaner took.
        self._earlier = _earlier_results(settings)
        repair(settings.out)
        self.storage = open_storage(settings.out, settings.storage)
        # Tuning jobs of other searches, and those of this one that have ended
        self.known = settings.known_parents()
        self.done: dict[str, TuningJob] = {}
        self._workers = [
            WorkerProcess(settings, number, workers, gpus) for number in range(workers)
        ]
        # With a file, only this machine has trials: one without an owner is lost at once.
        self._no_owner_s = 0.0
        if settings.storage is not None:
            self._no_owner_s = NO_OWNER_S
        self._finished: set[str] = set()  # names of trials
        self._current: tuple[optuna.Study, Tuning] | None = None
        self._written: tuple[TuningJob, ...] = ()
        self._best: Trial | None = None
        self._page: LivePage | None = None
        self._shown = time.monotonic()
        self._bar = Bar()

    def run(self) -> None:
        """All tuning jobs of the chain, one after the other. SearchError when it cannot go on."""
        self._page = LivePage(self.settings.out, self.recipe.name)
        with Interruption() as interruption, self._bar:
            try:
                for worker in self._workers:
                    worker.start()
                with answering(self.settings.storage):
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
            try:
                with answering(self.settings.storage):
                    requeue_orphans(study, self._no_owner_s)
                    self._write(form(study, tuning, "Stopped"))
            except (StudyGone, StorageGone):  # what was last written says how far it came
                self._write_stopped(tuning.name)
        if self._page:
            self._page.end(self._written)

    def _write_stopped(self, name: str) -> None:
        """Write the results again as they are known, with this tuning job stopped."""
        for job in self._written:
            if job.name == name:
                with suppress(OSError):  # the folder may be gone, too
                    self._write(replace(job, status="Stopped"))

    def _search(self, tuning: Tuning, interruption: Interruption) -> None:
        """One tuning job from its start, or where it was left, to its end."""
        asked = tuning.budgets.jobs
        tuning = without_repetition(tuning)
        parents = parents_of(tuning, self.known)
        imported: list[tuple[str, Trial]] = []
        for parent in parents:
            imported += [(parent.name, trial) for trial in legal(tuning, parent)]
        study = self._study(tuning, imported)
        self._current = (study, tuning)
        clock = Clock(study)
        study.set_user_attr(ENDED, None)  # a budget may have been raised
        study.set_user_attr(open_mark(os.getpid()), True)
        names = ", ".join(entry.name for entry in tuning.ranges)
        start = f"{tuning.name}: {tuning.strategy} search of {names}; {budgets_line(tuning)}"
        say(start + parents_line(tuning, parents, len(imported)))
        if tuning.budgets.jobs < asked:
            say(fewer_line(tuning, asked))
        earlier = form(study, tuning, "").trials
        self._finished = {trial.name for trial in earlier if trial.status != "InProgress"}
        if self._finished:
            say(f"{tuning.name}: going on; {len(self._finished)} of its trials are there")
        requeue_orphans(study, self._no_owner_s)
        while not self._look(study, tuning, clock):
            interruption.sleep(LOOK_S)
        self._current = None
        ended = study.user_attrs.get(ENDED)
        self._conclude(form(study, tuning, "Completed"), parents, ended)

    def _study(self, tuning: Tuning, imported: list[tuple[str, Trial]]) -> optuna.Study:
        """The tuning job's study. SearchError when it, or its results, are of another search."""
        first = first_values(self.recipe, tuning, imported)
        earlier = self._earlier.get(tuning.name)
        if earlier and tuning.name not in optuna.get_all_study_names(self.storage):
            check_same_search(tuning, earlier)
            gone = f"{STUDY_FILE} is gone"
            if self.settings.storage is not None:
                gone = "the storage does not hold it any more"
            say(f"{tuning.name}: {gone}; its trials are those of {RESULTS_FILE}")
        return make_study(self.storage, tuning, imported, first, earlier)

    def _look(self, study: optuna.Study, tuning: Tuning, clock: Clock) -> bool:
        """One look at all that may have changed; whether the tuning job has ended."""
        self.settings.check_photos_there()
        gone = [worker for worker in self._workers if worker.gone()]
        for name in requeue_orphans(study):
            say(f"{name}: its process was killed; it is to be done again")
        trials = counted(study)
        elapsed_s = clock.elapsed(tuning.budgets.time_s is not None)
        marked = study.user_attrs.get(ENDED)
        early = ended_early(trials, tuning, elapsed_s)
        if early and not marked:
            # Workers begin no more. Whether one has begun a trial meanwhile, the next look shows.
            study.set_user_attr(ENDED, early)
            clock.note()
        job = form(study, tuning, "InProgress")
        self._write(job)
        if self._page:
            self._page.show(self._written)
        self._print_finished(job, tuning)
        self._show_progress(job, tuning, all_ended(trials))
        looked_again = bool(marked) or not early
        reason = verdict(trials, tuning, elapsed_s)
        if reason and looked_again and all_ended(trials):
            return True
        for worker in gone:
            say(worker.again(len(self._finished)))
        return False

    def _show_progress(self, job: TuningJob, tuning: Tuning, ended: bool) -> None:
        """A bar in a terminal; elsewhere, where no line came for long, how the search stands."""
        limit = tuning.budgets.jobs
        if self._bar.drawn:
            words = running_words(job)
            self._bar.show(f"tune: {tuning.name}", len(self._finished), limit, "trials", words)
        elif time.monotonic() - self._shown > PROGRESS_S and not ended:
            self._shown = time.monotonic()
            print(progress((job,), limit), flush=True)

    def _conclude(self, job: TuningJob, parents: list[TuningJob], ended: str | None) -> None:
        """Write a tuning job's end, and print it. SearchError when no trial has an objective."""
        best = job.best()
        if best is None:
            job = replace(job, status="Failed")
        self.done[job.name] = job
        self.known[job.name] = job
        self._write(job)
        if best is None:
            sentence = (
                f"tuning job {job.name}: none of its {len(job.trials)} trials has an objective"
            )
            reasons = [trial.reason for trial in job.trials if trial.reason]
            if reasons:
                sentence += f"; the first: {reasons[0]}"
            raise SearchError(sentence)
        text = f"{job.name}: best {best.name} {job.objective}={best.objective:.6g}"
        text += f", {counted_trials(len(job.trials))}"
        if ended:
            text += f"; ended: {ended}"
        overall = overall_best(job, parents)
        if overall and overall[1] is not best:
            text += f"; best over its parents, too: {overall[1].name} {overall[1].objective:.6g}"
        say(text)

    def _print_finished(self, job: TuningJob, tuning: Tuning) -> None:
        """A line for each trial that ended since the last look."""
        best = job.best()
        for trial in job.trials:
            if trial.status == "InProgress" or trial.name in self._finished:
                continue
            self._finished.add(trial.name)
            self._shown = time.monotonic()
            so_far = f"; {len(self._finished)} of {tuning.budgets.jobs}"
            if best:
                so_far += f", best {best.objective:.6g}"
            say(finished_line(trial, job.objective) + so_far)

    def _write(self, job: TuningJob) -> None:
        """tuning.json, and the best hyperparameters; nothing when nothing changed."""
        by_name = self._earlier | self.done | {job.name: job}
        jobs = tuple(by_name.values())
        if jobs == self._written:
            return
        self._written = jobs
        write_results(self.settings.out / RESULTS_FILE, jobs)
        best = overall_best(job, [self.known[name] for name in job.parents])
        if best and best[1] != self._best:
            self._best = best[1]
            write_best(self.settings, self.recipe, best[1])


def _earlier_results(settings: SearchSettings) -> dict[str, TuningJob]:
    """The recipe's tuning jobs as an earlier run left them in the output folder, by name."""
    try:
        jobs = read_results(settings.out / RESULTS_FILE)
    except (OSError, ResultsError):  # none yet, or another version's: the study has them
        return {}
    names = {tuning.name for tuning in settings.recipe().tuning}
    return {job.name: job for job in jobs if job.name in names}


def say(sentence: str) -> None:
    """A line for the user."""
    print(f"tune: {sentence}", flush=True)
