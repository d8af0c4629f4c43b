"""Observers of a training, on request: smdebug's hook, the profiler, and the rules over both."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from artifact.text.names import printable
from recipes.hyperparameters import Hyperparameters
from recipes.value_checks import collections
from train.device import pick_device
from train.distributed.context import DistributedContext
from train.job import Job
from train.learning.loop import Learner
from train.recording.debug_settings import DebugSettings
from train.recording.hooks import Hook, asks_for_losses_alone, config_file, open_hook
from train.recording.profile import NoProfile, Profile, profiling
from train.recording.profile_settings import read_settings

log = logging.getLogger(__name__)


@contextmanager
def open_profile(
    job: Job, hp: Hyperparameters, context: DistributedContext
) -> Iterator[NoProfile | Profile]:
    """A profile under output/data/profiler, where the hyperparameters or SageMaker ask for one."""
    folder = job.output_data / "profiler"
    settings = read_settings(job, folder, hp.profile, hp.profile_steps, context.rank)
    with profiling(settings, pick_device(context.local_rank).type) as profile:
        yield profile


def attach_hook(job: Job, learner: Learner) -> Hook | None:
    """smdebug's hook on the network, where the hyperparameters or SageMaker ask for it."""
    gradient_scale: Callable[[], float] | None = None
    if learner.scaler.is_enabled():
        gradient_scale = learner.scaler.get_scale
    settings = _debug_settings(learner.hyperparameters)
    return open_hook(job, settings, learner.network, gradient_scale)


def wants_network_hook(job: Job, hp: Hyperparameters) -> bool:
    """Whether the hyperparameters or SageMaker ask for tensors from within the network."""
    config = config_file(job)
    if config is None:
        return hp.debug
    return not asks_for_losses_alone(config)


def _debug_settings(hp: Hyperparameters) -> DebugSettings | None:
    if not hp.debug:
        return None
    return DebugSettings(
        collections(hp.debug_collections),
        hp.debug_train_interval,
        hp.debug_eval_interval,
        hp.debug_predict_interval,
        hp.debug_sample,
    )


def print_findings(job: Job) -> None:
    """Judge the saved tensors and profile, and print the findings.

    A training never fails because of them, nor because they cannot be had.
    """
    from diagnose.diagnosis import diagnose_output
    from diagnose.findings import DiagnoseError
    from diagnose.page_links import link_findings

    try:
        diagnosis = diagnose_output(job.root / "output", write_to=job.output_data)
        link_findings(job.report)
    except (DiagnoseError, OSError) as error:
        log.warning("diagnose: %s", error)
        return
    lines = diagnosis.lines()
    for line in lines:
        print(f"diagnose: {printable(line)}", flush=True)
    print(f"diagnose: verdict: {diagnosis.verdict.sentence()}", flush=True)
    fired = ",".join(diagnosis.fired()) or "none"
    print(f"diagnose: rules={len(lines)} fired={fired}", flush=True)
