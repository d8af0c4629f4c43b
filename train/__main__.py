"""python -m train [--root DIR] [--hyperparameters FILE]: one training job, laid out under DIR as SageMaker lays it out under /opt/ml."""

import argparse
import logging
import os
import sys
from pathlib import Path

from train.distributed.rendezvous import hosts
from train.distributed.worker import is_worker, work
from train.failure import SUCCEEDED, report_failure
from train.gc_pause import gc_paused
from train.job import Job
from train.stop import Stop


def main(arguments: list[str] | None = None) -> int:
    """Run the job; the exit code says how it went. A failure leaves its reason in output/failure."""
    parser = argparse.ArgumentParser(prog="train", description=__doc__)
    parser.add_argument(
        "--root", help="folder laid out as /opt/ml (default: SAGEMAKER_BASE_DIR, else /opt/ml)"
    )
    parser.add_argument(
        "--hyperparameters",
        metavar="FILE",
        help="what the job is told in place of its input/config/hyperparameters.json, which is "
        "overwritten; such as best.json of `python -m tune`",
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s", force=True)
    stop = Stop().listen()
    os.environ.setdefault(
        "THP_MEM_ALLOC_ENABLE", "1"
    )  # torch takes large tensors in huge pages: a tenth of a step's time on a processor
    job = None
    try:
        job = Job.at(options.root)
        if is_worker():
            return work(job, stop)
        job.forget_failure()
        if options.hyperparameters:
            job.take_hyperparameters(Path(options.hyperparameters))
        return train(job, stop)
    except (
        Exception
    ) as error:  # whatever it is: the platform must learn the reason and see the exit code
        return report_failure(job, error)


def train(job: Job, stop: Stop) -> int:
    """Read the job's settings and train, in this process or in several; a wrong setting is told before torch's seconds of loading."""
    from recipes.hyperparameters import parse

    hyperparameters = parse(job.hyperparameters())
    with gc_paused():
        from train.distributed.launcher import launch, processes_here

        processes = processes_here()
    if processes > 1 or len(hosts(job)[0]) > 1:
        return launch(job, stop, processes)
    with gc_paused():
        from train.run import run

    run(job, hyperparameters, stop)
    return SUCCEEDED


if __name__ == "__main__":
    sys.exit(main())
