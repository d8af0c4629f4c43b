"""python -m tune.show RESULTS.json | --managed NAME: the table of a search.

The search is one of this machine, or one of SageMaker. Its page and CSV are written on request.
"""

import argparse
import logging
import sys
from pathlib import Path

from artifact.model import write_atomically
from artifact.pages.project_index import refresh_above
from artifact.text.log_lines import log_to
from artifact.text.names import printable
from recipes.command_line import CommandLine
from tune.csv_file import write_csv
from tune.errors import sentence_of
from tune.managed import open_clients, read_managed
from tune.managed_form import ManagedError
from tune.page import best_hyperparameters, write_page
from tune.ranking import Ranking
from tune.results import ResultsError, TuningJob, read_results
from tune.terminal_table import print_table

FAILED = 1
INTERRUPTED = 130  # as shells have it: 128 and SIGINT


def main(arguments: list[str] | None = None) -> int:
    """Show a search; the exit code.

    0: shown; 1: it cannot be read or written; 2: a wrong option; 130: interrupted.
    """
    options = _parse(arguments)
    log_to(sys.stderr, logging.WARNING)
    try:
        jobs = read(options)
        if not jobs:
            raise ResultsError(f"'{options.results}' holds no tuning job")
        show(jobs, options.most, options.page, options.csv, options.best)
    except (ManagedError, ResultsError) as error:
        print(f"tune.show: failed: {printable(error)}", file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"tune.show: failed: {printable(sentence_of(error))}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("tune.show: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def read(options: argparse.Namespace) -> tuple[TuningJob, ...]:
    """The search that was asked for.

    ManagedError, ResultsError or OSError when it cannot be read.
    """
    if not options.managed:
        return read_results(options.results)
    sagemaker, logs = open_clients(options.region)
    if not options.page and not options.csv:
        logs = None  # the table shows no learning curves, and they take a request per trial
    return read_managed(options.managed, sagemaker, not options.alone, logs)


def show(
    jobs: tuple[TuningJob, ...],
    most: int | None = None,
    page: Path | None = None,
    csv: Path | None = None,
    best: Path | None = None,
) -> None:
    """Print the table, then write the files that are asked for.

    most: rows of the table. ResultsError without a best to write, OSError when writing fails.
    """
    print_table(jobs, most)
    writers = ((page, write_page), (csv, write_csv), (best, write_best))
    for path, write in writers:
        if path:
            write(path, jobs)
            refresh_above(path)
            print(f"written: {path}", flush=True)


def write_best(path: Path, jobs: tuple[TuningJob, ...]) -> None:
    """The best trial's hyperparameters, as a training job's hyperparameters.json."""
    text = best_hyperparameters(Ranking(jobs))
    if text is None:
        raise ResultsError(
            "no trial ended with a value, so there are no best hyperparameters to write"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode() + b"\n")


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = CommandLine(prog="tune.show", description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "results",
        type=Path,
        nargs="?",
        metavar="RESULTS.json",
        help="results as `python -m tune` writes them",
    )
    source.add_argument(
        "--managed",
        metavar="NAME",
        help="a tuning job of SageMaker, read with boto3 and its credentials",
    )
    parser.add_argument("--region", help="of --managed (default: the environment's)")
    parser.add_argument(
        "--alone", action="store_true", help="of --managed: without the jobs it starts from"
    )
    parser.add_argument("--most", type=_count, metavar="N", help="rows of the table at most")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write tuning.html there")
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="write all trials there, one row each"
    )
    parser.add_argument(
        "--best",
        type=Path,
        metavar="FILE",
        help="write the best hyperparameters there, as `train`, `diagnose` and `launch` take them",
    )
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, found '{text}'")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
