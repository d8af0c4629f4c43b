"""From a trained network to a proven artifact: temperature, export, int8, measured accuracy."""

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

from artifact.engines.choice import open_engine, precisions
from artifact.engines.openvino_engine import graphs_kept
from artifact.export import Photos, bounded_by_int8, export
from artifact.model import Description, write_description
from artifact.text.names import printable
from train.data.channels import Channels
from train.data.shared_out import first_host_sentence
from train.distributed.context import DistributedContext
from train.failure import disk_full, reason
from train.job import Job, JobError
from train.learning.checkpoint import give_up_older
from train.learning.fit import Fit
from train.learning.loop import predict
from train.learning.objective import multi_hot
from train.model.weights import Source
from train.result.calibration import calibrate
from train.result.describe import describe, with_accuracy
from train.result.doubts import write_doubts
from train.result.drift_reference import write_drift_reference
from train.result.features import Features, read_features
from train.result.int8 import quantize_artifact
from train.result.known import fit_known
from train.result.measure import Answers, measure
from train.result.output_files import write_output_files
from train.result.report_doubts import NOTHING_IN_DOUBT, InDoubt
from train.result.report_photos import Seen
from train.result.saliency import saliency_of_worst
from train.result.some_photos import export_samples, sized, with_probe
from train.stop import Stop

# a temperature that changes nothing, and no figures of its effect
UNCALIBRATED: tuple[float, dict[str, float]] = (1.0, {})
UNMEASURED: Sequence[Answers] = ()

T = TypeVar("T")

log = logging.getLogger(__name__)


@graphs_kept()
def build_artifact(
    job: Job,
    plan: Fit,
    channels: Channels,
    source: Source,
    stop: Stop,
    started: float,
    failed: bool = False,
    of_all_hosts: Features | None = None,
) -> Description:
    """Export the network as it is, quantize and measure the artifact, and write output/data.

    A request to stop leaves out the optional steps that are left: temperature, int8, measuring.
    failed: the training failed; int8 is then left out, and every optional step that fails, too.
    of_all_hosts: of the training photos, where the hosts share them out.
    """
    attempt = _or_without if failed else _outright
    hp = plan.learner.hyperparameters
    calibrated = attempt(lambda: calibrate_artifact(plan, stop), UNCALIBRATED, "temperature")
    here = channels.on_host(0)  # what this process can read: it is the first host's
    score = fit_known({} if failed else read_features(plan, channels, stop, of_all_hosts))
    description = describe(plan, channels, source, *calibrated, score.figures)
    description, probe = with_probe(description, here, hp.probe and not failed)
    _export(job, plan, here, description, failed, score.means, probe)
    known: dict[str, Answers] = {}  # on the validation photos, by precision
    if hp.quantize and not failed:
        description = _quantize(job, description, plan, here, stop, known)
    measured = attempt(
        lambda: measure_channels(job, description, plan, channels, stop, known),
        UNMEASURED,
        "accuracy",
    )
    described = with_accuracy(description, measured)
    attempt(lambda: write_description(job.model, described), None, "accuracy in model.json")
    _print_lines(measured, hp.top_k)
    in_doubt = _write_beside(job, plan, channels, described, measured, score.features, stop)
    seconds = time.monotonic() - started
    files = partial(write_output_files, job, described, plan.state, measured, hp, seconds)
    attempt(lambda: files(in_doubt), None, "report")
    return described


def _write_beside(
    job: Job,
    plan: Fit,
    channels: Channels,
    described: Description,
    measured: Sequence[Answers],
    features: Mapping[str, Features],
    stop: Stop,
) -> InDoubt:
    """What helps whoever uses the model; the model does without any of it."""
    first = len(channels.train.on_host(0))
    if first < len(channels.train):
        int8 = bool(described.quantization)
        log.warning(first_host_sentence(first, len(channels.train), int8))
    reference = partial(write_drift_reference, job, described, channels, measured, features, stop)
    _or_without(reference, None, "reference for `launch drift`")
    doubts = partial(write_doubts, plan, described, measured, features, stop)
    in_doubt = _or_without(doubts, NOTHING_IN_DOUBT, "files on what is in doubt")
    nothing: dict[Path, Seen] = {}
    seen = _or_without(lambda: saliency_of_worst(plan, measured, stop), nothing, "saliency")
    return dataclasses.replace(in_doubt, saliency=seen)


def _print_lines(measured: Sequence[Answers], top_k: int) -> None:
    """One line per channel: SageMaker's metric definitions read the figures from them."""
    for answers in measured:
        print(printable(answers.line(top_k)), flush=True)


def keep_best_artifact(
    job: Job,
    plan: Fit,
    channels: Channels,
    source: Source,
    stop: Stop,
    started: float,
    error: Exception,
) -> None:
    """After a failure: leave the artifact of the best epoch so far, if one is done.

    JobError with a sentence on the failure and one on the artifact. For an error that is a fault of
    this program it returns, so that the caller raises the error itself.
    """
    best = plan.state.best_epoch
    if not best or not plan.learner.context.is_main_process:
        return
    if plan.learner.context.watch:
        plan.learner.context.watch.keeping = True
    plan.learner.context = DistributedContext()  # other processes may be gone
    try:
        if not plan.exported:  # an artifact that is there must not be put at risk
            log.info("the training failed; exporting the best epoch so far, %d", best)
            plan.restore_best()
            build_artifact(job, plan, channels, source, stop, started, failed=True)
        kept = f"the artifact of epoch {best}, the best so far, is kept"
    except Exception as second:  # any: the first error is the one to report
        cause = reason(second) or repr(second)
        kept = f"the artifact of the best epoch, {best}, could not be written ({cause})"
    log.info(kept)
    sentence = reason(error)
    if sentence:
        raise JobError(f"{sentence}; {kept}") from error


def _outright(step: Callable[[], T], otherwise: T, what: str) -> T:
    return step()


def _or_without(step: Callable[[], T], otherwise: T, what: str) -> T:
    """A step's result, or `otherwise` when it fails, with a warning."""
    try:
        return step()
    except Exception as error:  # any: the artifact is worth more than this step
        log.warning("left out: %s (%s)", what, reason(error) or repr(error))
        return otherwise


def calibrate_artifact(plan: Fit, stop: Callable[[], bool]) -> tuple[float, dict[str, float]]:
    """The temperature fitted on the validation photos, and model.json's figures.

    UNCALIBRATED without such photos, and when `stop` is true.
    """
    learner = plan.learner
    labels = plan.validation_labels
    if not len(labels) or stop():
        return UNCALIBRATED
    if learner.hook:
        learner.hook.mode("predict")
    logits = predict(learner, plan.validation, stop)
    if logits is None:
        return UNCALIBRATED
    wanted = multi_hot(labels, learner.classes)
    temperature, figures = calibrate(logits, wanted, learner.hyperparameters.multi_label)
    log.info(
        "calibration: temperature %.4g, expected calibration error %.4f before, %.4f after it",
        temperature,
        figures["ece_before"],
        figures["ece_after"],
    )
    return temperature, figures


def _export(
    job: Job,
    plan: Fit,
    channels: Channels,
    description: Description,
    failed: bool,
    means: torch.Tensor | None,
    probe: Photos | None,
) -> None:
    samples = export_samples(channels, description.preprocessing, failed)
    try:
        difference = export(plan.learner.network, description, job.model, samples, means, probe)
    except Exception as error:
        # The artifact is worth more than an older checkpoint, which may lie on the same disk.
        state = plan.state
        if not disk_full(error) or not give_up_older(job.checkpoints, plan.identity, state.epoch):
            raise
        log.info("the disk is full: older checkpoints were removed to make room for the artifact")
        difference = export(plan.learner.network, description, job.model, samples, means, probe)
    plan.exported = True
    log.info(
        "artifact: %s, probabilities within %.2g of the network's on %d photos",
        job.model,
        difference,
        len(samples),
    )


def _quantize(
    job: Job,
    description: Description,
    plan: Fit,
    channels: Channels,
    stop: Stop,
    known: dict[str, Answers],
) -> Description:
    quantization = quantize_artifact(job, description, plan, channels, stop, known)
    description = dataclasses.replace(description, quantization=quantization)
    description = bounded_by_int8(job.model, description)
    write_description(job.model, description)
    return description


def measure_channels(
    job: Job,
    description: Description,
    plan: Fit,
    channels: Channels,
    stop: Stop,
    known: dict[str, Answers],
) -> Sequence[Answers]:
    """The answers of an endpoint on this machine, on the validation photos and on the test photos.

    Channels without photos are left out, and those for which no time is left.
    """
    precision = precisions(description)[0]
    measured = []
    left = []
    if precision in known:
        measured.append(known[precision])
    elif len(channels.validation):
        left.append(("validation", plan.validation_photos, channels.validation))
    if len(channels.test):
        arrays = sized(channels.test, description.preprocessing, keep=False)
        left.append(("test", arrays, channels.test))
    if not left:
        return measured
    with contextlib.closing(open_engine(job.model, description)) as engine:
        for name, arrays, photos in left:
            answers = measure(engine, description, name, arrays, photos.labels, stop.no_time_left)
            if answers is not None:
                measured.append(answers)
    return measured
