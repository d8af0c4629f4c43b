"""python -m bench.search: the searches of `python -m tune` on recorded real response tables.

Each search has the epochs of 12 whole trials on each table of bench/data/search, which
bench/search_tables.py made. Its regret is what the table's best configuration reaches above the
one that it chose, in validation accuracy and trained to the end. Random search has whole trials
and no first trial of its own. The interval of a ratio is that of the mean over the seeds
(bootstrap, 95 %).
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from bench.searching.tables import Table, read_tables
from bench.sections import replace_section
from recipes.ranges import Categorical, Continuous, Range
from recipes.tuning import Budgets, Objective, Tuning
from tune.search import choose, steer
from tune.study import make_study

TITLE = "## Search (`make bench-search`)"
WHOLE = 12  # trials whose epochs a search has
BAR = 0.7  # of random's regret
RESAMPLES = 2000
SPREAD = (2.5, 97.5)  # percentiles of the interval
# name: strategy, early stopping, whether the first trial takes the recipe's own values
SEARCHES = {
    "random": ("Random", "Off", False),
    "bayesian": ("Bayesian", "Off", True),
    "bayesian, median rule": ("Bayesian", "Auto", True),
    "hyperband": ("Hyperband", "Off", True),
}


@dataclass(frozen=True)
class Outcome:
    """Of one search on one table: the regret, and the trials that it began."""

    regret: float
    trials: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-search", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--strict", action="store_true", help="exit with 1 when the bar is missed")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    tables = read_tables()
    random = np.zeros(0)
    ratios: dict[str, float] = {}
    rows = ["| search | regret | of random's | 95 % | trials |", "|---|---:|---:|---:|---:|"]
    for name in SEARCHES:
        outcomes = [list(outcomes_of(table, name, options.seeds)) for table in tables]
        by_table = []
        counts = []
        for row in outcomes:
            by_table.append([one.regret for one in row])
            counts.append([one.trials for one in row])
        regrets = np.array(by_table)  # [table, seed]
        trials = np.mean(counts)
        if name == "random":
            random = regrets
        ratio, low, high = compared(regrets, random)
        ratios[name] = ratio
        cells = f"{regrets.mean():.4f} | {ratio:.2f} | {low:.2f} to {high:.2f} | {trials:.1f}"
        rows.append(f"| {name} | {cells} |")
        print(rows[-1], flush=True)
    worst = ratios["hyperband"]
    line = f"bench-search: tables={len(tables)} seeds={options.seeds}"
    for name in ("bayesian", "hyperband"):
        line += f" {name}_of_random={ratios[name]:.2f}"
    about = (
        f"{len(tables)} tables of 48 configurations and 9 epochs, {options.seeds} seeds; each "
        f"search has the epochs of {WHOLE} whole trials. Bar: at most {BAR} of random's regret."
    )
    table = "\n".join(rows)
    replace_section(TITLE, f"{about}\n\n{table}\n\n`{line}`")
    print(line, flush=True)
    return int(options.strict and worst > BAR)


def compared(regrets: np.ndarray, random: np.ndarray) -> tuple[float, float, float]:
    """The mean regret as a share of random's, and the ends of its interval over the seeds."""
    generator = np.random.default_rng(0)
    seeds = regrets.shape[1]
    drawn = generator.integers(0, seeds, (RESAMPLES, seeds))
    shares = regrets.mean(0)[drawn].mean(1) / random.mean(0)[drawn].mean(1)
    low, high = np.percentile(shares, SPREAD)
    return float(regrets.mean() / random.mean()), float(low), float(high)


def outcomes_of(table: Table, name: str, seeds: int) -> Iterator[Outcome]:
    for seed in range(seeds):
        yield searched(table, tuning_of(table, name, seed), own_first=SEARCHES[name][2])


def tuning_of(table: Table, name: str, seed: int) -> Tuning:
    """The table's search as a recipe's tuning job."""
    strategy, early_stopping, _ = SEARCHES[name]
    resource = None
    if strategy == "Hyperband":
        resource = (1, len(table.curves[0]))
    return Tuning(
        name=table.name,
        objective=Objective(),
        budgets=Budgets(jobs=WHOLE),
        ranges=tuple(ranges_of(table)),
        static={},
        strategy=strategy,
        early_stopping=early_stopping,
        seed=seed,
        resource=resource,
    )


def ranges_of(table: Table) -> Iterator[Range]:
    for name in table.configurations[0]:
        values = sorted({one[name] for one in table.configurations}, key=float)
        if name == "lr":
            ends = (float(values[0]), float(values[-1]))
            yield Continuous(name, *ends, scale="Logarithmic")
        else:
            yield Categorical(name, tuple(values))


def searched(table: Table, tuning: Tuning, own_first: bool) -> Outcome:
    """One search, whose trainings are looked up."""
    first = table.configurations[table.own] if own_first else None
    study = make_study(InMemoryStorage(), tuning, (), first)
    left = WHOLE * len(table.curves[0])
    best = -1.0
    chosen = table.own
    trials = 0
    while left:
        steer(study, tuning, 0)
        trial = study.ask()
        place = nearest(table, choose(trial, tuning))
        trials += 1
        state = TrialState.PRUNED
        curve = table.curves[place][:left]
        for epoch, value in enumerate(curve, start=1):
            left -= 1
            trial.report(value, epoch)
            if value > best:
                best = value
                chosen = place
            if epoch == len(table.curves[place]):
                state = TrialState.COMPLETE
            elif trial.should_prune():
                break
        value_of_trial = max(curve) if state == TrialState.COMPLETE else None
        study.tell(trial, value_of_trial, state=state)
    highest = max(max(curve) for curve in table.curves)
    return Outcome(highest - max(table.curves[chosen]), trials)


def nearest(table: Table, texts: dict[str, str]) -> int:
    """The place of the configuration with these values, at the nearest recorded learning rate."""
    rates = {one["lr"] for one in table.configurations}
    wanted = np.log(float(texts["lr"]))
    rate = min(rates, key=lambda text: abs(np.log(float(text)) - wanted))
    return table.configurations.index(texts | {"lr": rate})


if __name__ == "__main__":
    sys.exit(main())
