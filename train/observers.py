"""What watches a training on request: smdebug's hook over its tensors, the profiler, and at the end the rules over both."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from recipes.hyperparameters import Hyperparameters
from train.distributed.context import DistributedContext
from train.job import Job
from train.learning.loop import Learner
from train.recording.hooks import DebugSettings, Hook, open_hook
from train.recording.profile import NoProfile, Profile, profiling, read_settings

log = logging.getLogger(__name__)


@contextmanager
def open_profile(
    job: Job, hp: Hyperparameters, context: DistributedContext
) -> Iterator[NoProfile | Profile]:
    """A profile of what is done inside, under output/data/profiler; none unless the hyperparameters or SageMaker ask for it."""
    settings = read_settings(
        job, job.output_data / "profiler", hp.profile, hp.profile_steps, context.rank
    )
    with profiling(settings, "cuda" if torch.cuda.is_available() else "cpu") as profile:
        yield profile


def attach_hook(job: Job, learner: Learner) -> Hook | None:
    """smdebug's hook on the learner's network, where the hyperparameters or SageMaker ask for it."""
    hp = learner.hyperparameters
    settings = (
        DebugSettings(
            tuple(part.strip() for part in hp.debug_collections.split(",") if part.strip()),
            hp.debug_train_interval,
            hp.debug_eval_interval,
            hp.debug_predict_interval,
            hp.debug_sample,
        )
        if hp.debug
        else None
    )
    return open_hook(
        job,
        settings,
        learner.network,
        learner.scaler.get_scale if learner.scaler.is_enabled() else None,
    )


def print_findings(job: Job) -> None:
    """Judge what was saved and print the answers; a training never fails for what they say, nor when they cannot be had."""
    from diagnose.diagnosis import diagnose_output
    from diagnose.findings import DiagnoseError

    try:
        diagnosis = diagnose_output(job.root / "output", write_to=job.output_data)
    except (DiagnoseError, OSError) as error:
        log.warning("diagnose: %s", error)
        return
    for line in diagnosis.lines():
        print(f"diagnose: {line}", flush=True)
    print(
        f"diagnose: rules={len(diagnosis.lines())} fired={','.join(diagnosis.fired()) or 'none'}",
        flush=True,
    )
