"""From a trained network to a proven artifact: temperature, export, int8, and what the artifact answers."""

import contextlib
import dataclasses
import importlib.metadata
import logging
import os
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from artifact.engines import best_precision, open_engine, processor_flags
from artifact.export import export
from artifact.model import Description, write_description
from artifact.openvino_engine import graphs_kept
from artifact.preprocessing import PhotoError, Preprocessing, read_photo
from artifact.quantization import quantize
from recipes.hyperparameters import Hyperparameters
from train.data.channels import Channels, Photos
from train.data.photos import PhotoArrays
from train.distributed.context import DistributedContext
from train.failure import reason
from train.job import Job, JobError
from train.learning.fit import Fit
from train.learning.loop import predict
from train.learning.objective import multi_hot
from train.model.weights import Source
from train.result.calibration import calibrate
from train.result.measure import Answers, measure
from train.result.output_files import write_output_files
from train.stop import Stop

SAMPLES = 4  # photos on which the exported artifact is held against the network
JUDGES = 1000  # training photos that judge int8 where there are no validation photos

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
) -> Description:
    """Export the best epoch's network, quantize and measure the artifact, and write the outcome for people.

    A request to stop leaves out what is not needed: temperature and int8 where they are not done yet, and then measuring.
    failed: the training did; the artifact is then written without int8, and without what the same fault hinders.
    """
    attempt = _or_without if failed else _outright
    network, state, hp = plan.learner.network, plan.state, plan.learner.hyperparameters
    if state.best:
        plan.learner.restore(state.best)
    temperature, calibration = attempt(
        lambda: calibrate_artifact(plan, stop), (1.0, {}), "temperature"
    )
    description = Description(
        channels.classes,
        plan.learner.preprocessing,
        hp.model,
        hp.head,
        hp.multi_label,
        temperature=temperature,
        calibration=calibration,
        provenance=provenance(hp, channels, source, plan),
    )
    samples = _samples(channels, description.preprocessing, failed)
    difference = export(network, description, job.model, samples)
    plan.exported = True
    log.info(
        "artifact: %s, probabilities within %.2g of the network's on %d photos",
        job.model,
        difference,
        len(samples),
    )
    known: dict[str, Answers] = {}
    if hp.quantize and not failed:
        description = dataclasses.replace(
            description,
            quantization=quantize_artifact(job, description, plan, channels, stop, known),
        )
        write_description(job.model, description)
    measured = attempt(
        lambda: measure_channels(job, description, plan, channels, stop, known), [], "accuracy"
    )
    description = dataclasses.replace(
        description,
        accuracy={entry.channel: entry.accuracy() for entry in measured},
        provenance=description.provenance
        | {"measured_precision": measured[0].precision if measured else None},
    )
    attempt(lambda: write_description(job.model, description), None, "accuracy in model.json")
    for entry in measured:
        print(entry.line(hp.top_k), flush=True)
    attempt(
        lambda: write_output_files(
            job, description, state, measured, hp, time.monotonic() - started
        ),
        None,
        "report",
    )
    return description


def keep_best_artifact(
    job: Job,
    plan: Fit,
    channels: Channels,
    source: Source,
    stop: Stop,
    started: float,
    error: Exception,
) -> None:
    """After a failure: leave the artifact of the best epoch so far, where there is one.

    JobError, which says what failed and what became of the artifact; returns for an error that is this program's own fault.
    """
    best = plan.state.best_epoch
    if not best or not plan.learner.context.is_main_process:
        return
    if plan.learner.context.watch:
        plan.learner.context.watch.keeping = True
    plan.learner.context = DistributedContext()  # others, if there are any, may be gone
    try:
        if not plan.exported:  # else it is there, and writing it again would put it at risk
            log.info("the training failed; exporting the best epoch so far, %d", best)
            build_artifact(job, plan, channels, source, stop, started, failed=True)
        kept = f"the artifact of epoch {best}, the best so far, is kept"
    except Exception as second:  # whatever it is: the first error is what must be told
        kept = f"the artifact of the best epoch, {best}, could not be written ({reason(second) or repr(second)})"
    log.info(kept)
    if sentence := reason(error):
        raise JobError(f"{sentence}; {kept}") from error


def _outright(step: Callable[[], T], otherwise: T, what: str) -> T:
    return step()


def _or_without(step: Callable[[], T], otherwise: T, what: str) -> T:
    """A step's result, or what stands in its place where it fails, too."""
    try:
        return step()
    except Exception as error:  # the artifact is worth more than what is left out
        log.warning("left out: %s (%s)", what, reason(error) or repr(error))
        return otherwise


def calibrate_artifact(plan: Fit, stop: Callable[[], bool]) -> tuple[float, dict]:
    """The temperature fitted on the validation photos and its figures; 1 and none without such photos, or when stopped."""
    learner, labels = plan.learner, plan.validation_labels
    if not len(labels) or stop():
        return 1.0, {}
    if learner.hook:
        learner.hook.mode("predict")
    logits = predict(learner, plan.validation, stop)
    if logits is None:
        return 1.0, {}
    temperature, figures = calibrate(
        logits, multi_hot(labels, learner.classes), learner.hyperparameters.multi_label
    )
    log.info(
        "calibration: temperature %.4g, expected calibration error %.4f before, %.4f after it",
        temperature,
        figures["ece_before"],
        figures["ece_after"],
    )
    return temperature, figures


def quantize_artifact(
    job: Job,
    description: Description,
    plan: Fit,
    channels: Channels,
    stop: Callable[[], bool],
    known: dict[str, Answers],
) -> dict:
    """Quantize the artifact, judged on the validation photos, or else on training photos; model.json's figures.

    `known` takes what the artifact answered on the validation photos, by precision.
    """
    photos, arrays = channels.validation, plan.validation_photos
    if not len(photos):
        photos = _spread(channels.train, JUDGES)
        arrays = PhotoArrays(
            photos.paths, description.preprocessing.pixels, description.preprocessing.crop
        )

    def accuracy(described: Description, precision: str) -> float | None:
        with contextlib.closing(open_engine(job.model, described, precision)) as engine:
            answers = measure(engine, described, "validation", arrays, photos.labels, stop)
        if answers is not None and len(channels.validation):
            known[answers.precision] = answers
        return answers and answers.accuracy()

    return quantize(job.model, description, photos.paths, accuracy, stop)


def measure_channels(
    job: Job,
    description: Description,
    plan: Fit,
    channels: Channels,
    stop: Stop,
    known: dict[str, Answers],
) -> list[Answers]:
    """What an endpoint on this machine would answer on the validation and test photos, so far as there are any and there is time."""
    precision = best_precision(processor_flags(), description.quantization.get("kept", False))
    measured = [known[precision]] if precision in known else []
    test = PhotoArrays(
        channels.test.paths,
        description.preprocessing.pixels,
        description.preprocessing.crop,
        keep=False,
    )
    left = (
        [("test", test, channels.test)]
        if measured
        else [
            ("validation", plan.validation_photos, channels.validation),
            ("test", test, channels.test),
        ]
    )
    if not any(len(photos) for _, _, photos in left):
        return measured
    with contextlib.closing(open_engine(job.model, description)) as engine:
        measured += [
            measure(engine, description, name, arrays, photos.labels, stop.no_time_left)
            for name, arrays, photos in left
            if len(photos)
        ]
    return [entry for entry in measured if entry is not None]


def _spread(photos: Photos, most: int) -> Photos:
    """At most so many photos, from all over the list, which is sorted by class."""
    count = min(most, len(photos))
    return photos.take([index * len(photos) // count for index in range(count)])


def _samples(channels: Channels, preprocessing: Preprocessing, failed: bool) -> np.ndarray:
    """A few photos as the server will see them, uint8 [N, S, S, 3]; after a failure those that can be read, and noise."""
    photos = _spread(channels.validation if len(channels.validation) else channels.train, SAMPLES)
    if not failed:
        return np.stack([preprocessing.pixels(read_photo(path)) for path in photos.paths])
    samples = [
        np.random.default_rng(0).integers(
            0, 256, (preprocessing.crop, preprocessing.crop, 3), np.uint8
        )
    ]
    for path in photos.paths:
        with contextlib.suppress(PhotoError):
            samples.append(preprocessing.pixels(read_photo(path)))
    return np.stack(samples)


def provenance(hp: Hyperparameters, channels: Channels, source: Source, plan: Fit) -> dict:
    """Where a model came from: settings, data, versions, commit."""
    packages = ("torch", "torchvision", "numpy", "pillow", "openvino", "onnx", "nncf")
    return {
        "hyperparameters": dataclasses.asdict(hp),
        "weights": source.words,
        **({"earlier": source.earlier} if source.earlier else {}),
        "data": {
            "fingerprint": channels.fingerprint,
            "train": len(channels.train),
            "validation": len(channels.validation),
            "test": len(channels.test),
        },
        "epochs": plan.state.epoch,
        "best_epoch": plan.state.best_epoch,
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "git_commit": os.environ.get("SLIPWAY_GIT_COMMIT", "unknown"),
    }
