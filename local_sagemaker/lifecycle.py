"""Start and end of the server itself.

At its start it clears what an earlier one left, or goes on with it.
"""

import shutil
import threading

from local_sagemaker.hosting import endpoints
from local_sagemaker.job_ends import CLOSING
from local_sagemaker.jobs import processing, training, transforms
from local_sagemaker.pipelines import pipeline_executions
from local_sagemaker.platform import Platform
from local_sagemaker.tuning import trials, tuning_run, tunings
from runtime import processes

CLOSE_S = 150  # longer than any container may take to stop


def resume(platform: Platform) -> None:
    """Clear the remains of an earlier server on this folder."""
    # What still runs goes first: it writes into the folders that are removed next.
    processes.sweep(platform.folder)
    platform.container_engine.sweep()
    searches = tunings.unfinished(platform)
    kept = {platform.work / tuning_run.KIND / record[trials.NAME] for record in searches}
    for folder in platform.work.glob("*/*"):
        if folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)
    if not kept:
        shutil.rmtree(platform.work, ignore_errors=True)
    training.recover(platform, {record["HyperParameterTuningJobArn"] for record in searches})
    transforms.recover(platform)
    processing.recover(platform)
    pipeline_executions.recover(platform)
    tunings.recover(platform)
    endpoints.recover(platform)


def close(platform: Platform) -> None:
    """Stop all that runs and wait for it.

    Trainings become Failed; the next server goes on with searches and starts endpoints again.
    """
    with platform.lock:
        runners = list(platform.running.values())
    closers = [threading.Thread(target=runner.halt, args=(CLOSING,)) for runner in runners]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join()
    for runner in runners:
        runner.join(timeout=CLOSE_S)
    platform.logs.flush()
    platform.metric_data.flush()
