"""A training job from its channels to its artifact and report."""

import logging
import time

from artifact.model import Description
from recipes.hyperparameters import Hyperparameters
from train.data.channels import Channels, read_channels
from train.distributed.context import DistributedContext
from train.job import Job, JobError
from train.learning.fit import Fit, fit
from train.learning.incremental import read_model_channel
from train.learning.plan import make_plan
from train.model.networks import Networks
from train.model.weights import Source
from train.observers import open_profile, print_findings
from train.recording.profile import NoProfile, Profile
from train.result.build_artifact import build_artifact, keep_best_artifact
from train.stop import Stop

log = logging.getLogger(__name__)


def run(
    job: Job,
    hp: Hyperparameters,
    stop: Stop,
    context: DistributedContext = DistributedContext(),
    networks: Networks | None = None,
    export: bool = True,
) -> Description | None:
    """Train, export, measure and report; the artifact is in job.model at the end, in the job of the first process.

    A request to stop ends the training early, with the artifact of the best epoch so far. JobError, PhotoError or
    OSError when the job fails; whatever fails once an epoch is done, the artifact of the best one is kept.
    networks: shared by the trainings of one process that differ in little else than how they learn. export: without it the
    training ends with its last checkpoint, from which a later run of the same job exports.
    """
    started = time.monotonic()
    with open_profile(job, hp, context) as profile:
        description, watched = _run(job, hp, stop, context, networks, export, profile, started)
    if watched and context.is_main_process and not stop():
        print_findings(job)
    return description


def _run(
    job: Job,
    hp: Hyperparameters,
    stop: Stop,
    context: DistributedContext,
    networks: Networks | None,
    export: bool,
    profile: NoProfile | Profile,
    started: float,
) -> tuple[Description | None, bool]:
    """The artifact's description, and whether there is something for rules to judge."""
    hp, earlier = read_model_channel(job, hp)
    channels = read_channels(job.channels, hp.split, hp.seed, {hp.weights}, hp.multi_label)
    _describe(channels, hp)
    _check_shares(channels, hp, context)
    plan, source = make_plan(job, hp, channels, context, earlier, networks, profile)
    hook = plan.learner.hook
    try:
        fit(plan, stop)
        return _conclude(job, plan, channels, source, stop, started) if export else None, bool(
            hook
        ) or isinstance(profile, Profile)
    except Exception as error:
        keep_best_artifact(job, plan, channels, source, stop, started, error)
        raise
    finally:
        if hook:
            hook.close()


def _conclude(
    job: Job, plan: Fit, channels: Channels, source: Source, stop: Stop, started: float
) -> Description | None:
    """The first process finishes the job alone; the others wait, so that all leave with one outcome."""
    context = plan.learner.context
    if not context.is_main_process:
        return context.wait_for_main()
    plan.learner.context = DistributedContext()
    return build_artifact(job, plan, channels, source, stop, started)


def _check_shares(channels: Channels, hp: Hyperparameters, context: DistributedContext) -> None:
    """JobError when the processes cannot share the steps, or do not see the same photos."""
    for what, count in (
        ("batch_size is", hp.batch_size),
        ("the photos of the train channel are", len(channels.train)),
    ):
        if count < context.size:
            raise JobError(
                f"{what} {count}, but there are {context.size} processes to share them; each needs one"
            )
    if (
        theirs := context.broadcast_from_main(lambda: channels.fingerprint)
    ) != channels.fingerprint:
        raise JobError(
            f"this host's channels hold other photos than the first host's (fingerprints {channels.fingerprint[:12]} and {theirs[:12]}); "
            "every host needs all of them: S3DataDistributionType FullyReplicated"
        )


def _describe(channels: Channels, hp: Hyperparameters) -> None:
    log.info(
        "photos: train=%d validation=%d test=%d classes=%d",
        len(channels.train),
        len(channels.validation),
        len(channels.test),
        len(channels.classes),
    )
    if hp.num_classes and hp.num_classes != len(channels.classes):
        raise JobError(
            f"hyperparameter num_classes is {hp.num_classes}, but the train channel holds {len(channels.classes)} classes"
        )
    if hp.num_training_samples and hp.num_training_samples != len(channels.train):
        log.warning(
            "num_training_samples is %d, but the train channel holds %d photos",
            hp.num_training_samples,
            len(channels.train),
        )
