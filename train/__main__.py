"""python -m train [--root DIR] [--hyperparameters FILE]: one training job.

DIR is laid out as SageMaker lays out /opt/ml.
"""

import artifact.host.starting  # noqa: F401  # before all else: it takes Ctrl-C

# isort: split
import argparse
import os
import sys
from pathlib import Path

from artifact.host.machine import name_user
from artifact.host.starting import Loading
from artifact.text.log_lines import log_to
from artifact.text.names import escape_output, printable
from recipes.command_line import CommandLine
from train.distributed.rendezvous import hosts
from train.distributed.worker import is_worker, work
from train.failure import SUCCEEDED, report_failure
from train.gc_pause import gc_paused
from train.job import Job
from train.stop import Stop

USAGE = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the job; the exit code. A failure leaves its reason in output/failure."""
    options = _parse(arguments)
    escape_output()
    log_to(sys.stdout)
    stop = Stop().listen()
    # torch then takes large tensors in huge pages: a tenth of a step's time on a processor
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    name_user()
    job = None
    try:
        job = Job.at(options.root)
        if is_worker():
            return work(job, stop)
        if options.hyperparameters:
            given = Path(options.hyperparameters)
            refusal = of_another_training(job, given)
            if refusal:  # what lies there is not this job's: its files stay as they are
                print(f"train: failed: {printable(refusal)}", file=sys.stderr)
                return USAGE
            job.take_hyperparameters(given)
        job.forget_failure()
        return train(job, stop)
    except Exception as error:  # whatever it is: the platform must learn the reason
        return report_failure(job, error)


def of_another_training(job: Job, given: Path) -> str:
    """Why these hyperparameters cannot go on from the job's checkpoints; "" where they can.

    JobError or RecipeError where they cannot be read.
    """
    if not any(job.checkpoints.glob("checkpoint*.pt")):
        return ""
    from recipes.hyperparameter_file import differing, read_hyperparameters
    from train.learning.plan import UNRELATED

    names = differing(job.hyperparameters(), read_hyperparameters(given), UNRELATED)
    if not names:
        return ""
    return (
        f"'{job.root}' holds a training with other values of {', '.join(names)}; "
        "give another --root with these photos, or empty its checkpoints folder to start anew"
    )


def train(job: Job, stop: Stop) -> int:
    """Train in this process or in several; the exit code.

    The settings are read first: a wrong one fails before torch's seconds of loading.
    """
    from recipes.hyperparameters import parse

    hyperparameters = parse(job.hyperparameters())
    job.refuse_pipes()
    with gc_paused(), Loading("train", "torch"):
        from train.device import settle_device
        from train.distributed.launcher import launch, processes_here

        settle_device(hyperparameters.device)
        processes = processes_here()
    if processes > 1 or len(hosts(job)[0]) > 1:
        return launch(job, stop, processes)
    with gc_paused(), Loading("train", "torch"):
        from train.run import run

    run(job, hyperparameters, stop)
    from artifact.pages.project_index import refresh_above

    refresh_above(job.report)
    return SUCCEEDED


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = CommandLine(prog="train", description=__doc__)
    parser.add_argument(
        "--root", help="folder laid out as /opt/ml (default: SAGEMAKER_BASE_DIR, else /opt/ml)"
    )
    parser.add_argument(
        "--hyperparameters",
        metavar="FILE",
        help="hyperparameters that replace the job's input/config/hyperparameters.json, "
        "such as best.json of `python -m tune`",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
