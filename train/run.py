"""A training job from its channels to its artifact and report."""

import logging
import time
from functools import partial

from artifact.model import Description
from recipes.hyperparameters import Hyperparameters
from train.data.channels import Channels, SharedOut, read_channels
from train.data.first_look import look_at_held_out
from train.data.once_per_host import exchange_among_hosts, once_per_host
from train.data.shared_out import shared_out_channels
from train.distributed.context import ALONE, DistributedContext
from train.job import Job, JobError
from train.learning.fit import Fit, fit
from train.learning.plan import make_plan
from train.model.incremental import read_model_channel
from train.model.networks import Networks
from train.model.weights import Source
from train.observers import open_profile, print_findings
from train.recording.profile import Profile
from train.result.build_artifact import build_artifact, keep_best_artifact
from train.result.features import features_of_all_hosts
from train.stop import Stop, deadlines
from train.tracking import NoTracker, tracked

log = logging.getLogger(__name__)


def run(
    job: Job,
    hp: Hyperparameters,
    stop: Stop,
    context: DistributedContext = ALONE,
    networks: Networks | None = None,
    export: bool = True,
) -> Description | None:
    """Train, export, measure and report. The artifact is then in the main process's job.model.

    A request to stop ends the training early, with the artifact of the best epoch so far. JobError,
    PhotoError or OSError when the job fails; once an epoch is done, a failure leaves the artifact
    of the best one.
    networks: shared by the trainings of one process that differ in little else than how they learn.
    export: without it the training ends with its last checkpoint, from which a later run of the
    same job exports.
    """
    with tracked(job, hp, context.is_main_process, stop) as tracker:
        return _run(job, hp, stop, context, networks, export, tracker)


def _run(
    job: Job,
    hp: Hyperparameters,
    stop: Stop,
    context: DistributedContext,
    networks: Networks | None,
    export: bool,
    tracker: NoTracker,
) -> Description | None:
    started = time.monotonic()
    learning, end = deadlines(stop, started, hp.time_limit_s)
    description = None
    with open_profile(job, hp, context) as profile:
        hp, earlier = read_model_channel(job, hp)
        channels = _channels(job, hp, context)
        _log_photos(channels, hp)
        _check_shards(channels, hp, context)
        plan, source = make_plan(job, hp, channels, context, earlier, networks, profile, export)
        plan.tracker = tracker
        try:
            _learn(plan, channels if export else None, learning, stop)
            if export:
                description = _conclude(job, plan, channels, source, end, started)
        except Exception as error:
            keep_best_artifact(job, plan, channels, source, end, started, error)
            raise
        finally:
            if plan.learner.hook:
                plan.learner.hook.close()
    observed = plan.learner.observed or isinstance(profile, Profile)
    if observed and context.is_main_process and not stop():
        print_findings(job)
    return description


def _shared_out(job: Job, context: DistributedContext) -> SharedOut | None:
    """The channels of which each host has a part; None on one host, and where there are none."""
    names = shared_out_channels(job)
    if len(set(context.hosts)) < 2 or not context.any_process(bool(names)):
        return None
    return SharedOut(names, exchange_among_hosts(context))


def _channels(job: Job, hp: Hyperparameters, context: DistributedContext) -> Channels:
    """The job's photos, which one process of each host lists."""
    shared_out = _shared_out(job, context)
    given = (job.channels, hp.split, hp.seed, {hp.weights}, hp.multi_label)
    return once_per_host(context, partial(read_channels, *given, shared_out))


def _learn(plan: Fit, measured: Channels | None, learning: Stop, stop: Stop) -> None:
    """Train until `learning` asks to stop. JobError where the clock did before the first epoch.

    measured: the channels whose held-out photos are needed afterwards.
    """
    if measured:
        learner = plan.learner
        preprocessing = learner.preprocessing
        photos = plan.validation_photos
        look_at_held_out(measured, preprocessing, photos, learner.context, learning)
    fit(plan, learning)
    hp = plan.learner.hyperparameters
    state = plan.state
    if stop() or not learning() or state.epoch >= hp.epochs:
        return
    if not state.best:
        raise JobError(
            f"time_limit_s={hp.time_limit_s} ended before the first epoch did; "
            "nothing is learned; allow more time, or take preset=quick"
        )
    log.info(
        "time limit: learning ends after epoch %d of %d; epoch %d is the best",
        state.epoch,
        hp.epochs,
        state.best_epoch,
    )


def _conclude(
    job: Job, plan: Fit, channels: Channels, source: Source, stop: Stop, started: float
) -> Description | None:
    """The main process finishes the job alone. The others wait, so that all have one outcome.

    Where the hosts share out the training photos, each first gives the features of its own.
    """
    context = plan.learner.context
    plan.restore_best()
    of_all_hosts = features_of_all_hosts(plan, channels.train, stop)
    if not context.is_main_process:
        context.wait_for_main()
        return None
    plan.learner.context = ALONE
    return build_artifact(job, plan, channels, source, stop, started, of_all_hosts=of_all_hosts)


def _check_shards(channels: Channels, hp: Hyperparameters, context: DistributedContext) -> None:
    """JobError when the processes cannot share the steps, or do not see the same photos."""
    for what, count in (
        ("batch_size is", hp.batch_size),
        ("the photos of the train channel are", len(channels.train)),
    ):
        if count < context.size:
            raise JobError(
                f"{what} {count}, but there are {context.size} processes to share them; "
                "each needs one"
            )
    main = context.broadcast_from_main(lambda: channels.fingerprint)
    if main != channels.fingerprint:
        raise JobError(
            "this host's channels hold other photos than the first host's "
            f"(fingerprints {channels.fingerprint[:12]} and {main[:12]}); "
            "every host needs all of them: S3DataDistributionType FullyReplicated"
        )


def _log_photos(channels: Channels, hp: Hyperparameters) -> None:
    """Log the counts. JobError, or a warning, where the hyperparameters expect others."""
    photo_count = len(channels.train)
    class_count = len(channels.classes)
    log.info(
        "photos: train=%d validation=%d test=%d classes=%d",
        photo_count,
        len(channels.validation),
        len(channels.test),
        class_count,
    )
    if hp.num_classes and hp.num_classes != class_count:
        raise JobError(
            f"hyperparameter num_classes is {hp.num_classes}, "
            f"but the train channel holds {class_count} classes"
        )
    if hp.num_training_samples and hp.num_training_samples != photo_count:
        log.warning(
            "num_training_samples is %d, but the train channel holds %d photos",
            hp.num_training_samples,
            photo_count,
        )
