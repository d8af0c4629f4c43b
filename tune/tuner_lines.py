"""The lines that the tuner prints about a tuning job and its trials."""

from recipes.tuning import Tuning
from tune.results import Trial, TuningJob


def budgets_line(tuning: Tuning) -> str:
    """The budgets of a tuning job."""
    budgets = tuning.budgets
    parts = [f"{budgets.jobs} training jobs", f"{budgets.parallel} at once"]
    if budgets.time_s is not None:
        parts.append(f"{budgets.time_s} s")
    if budgets.target is not None:
        parts.append(f"target {budgets.target}")
    return ", ".join(parts)


def fewer_line(tuning: Tuning, asked: int) -> str:
    """That a tuning job has fewer configurations than training jobs. asked: of these, how many."""
    count = tuning.budgets.jobs
    return (
        f"{tuning.name}: its ranges hold {count} configurations, fewer than its {asked} "
        "training jobs; each is trained once"
    )


def parents_line(tuning: Tuning, parents: list[TuningJob], imported: int) -> str:
    """The parents of a tuning job, and how many of their results it takes; empty without any."""
    if not parents:
        return ""
    there = sum(len(parent.ordered()) for parent in parents)
    return (
        f"; starts from {', '.join(tuning.parents)}: "
        f"{imported} of {there} results lie within its ranges"
    )


def finished_line(trial: Trial, objective: str) -> str:
    """How a trial ended, and with which tuned hyperparameters. objective: the metric's name."""
    tuned = " ".join(f"{name}={_short(trial.hyperparameters[name])}" for name in trial.tuned)
    line = f"{trial.name}: {trial.status}"
    if trial.objective is not None:
        line += f" {objective}={trial.objective:.6g}"
    line += f" {tuned}"
    if trial.reason:
        line += f" ({trial.reason})"
    return line


def running_words(job: TuningJob) -> str:
    """How many trials run, and the best value so far."""
    running = sum(trial.status == "InProgress" for trial in job.trials)
    words = [f"{running} running"]
    best = job.best()
    if best:
        words.append(f"best {best.objective:.6g}")
    return ", ".join(words)


def _short(text: str) -> str:
    """A number with six digits at most; any other text as it is."""
    if text.isdigit():
        return text
    try:
        return f"{float(text):.6g}"
    except ValueError:
        return text
