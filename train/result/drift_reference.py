"""The numbers by which `launch drift` knows the training's photos again."""

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from artifact.drift_reference import PHOTOS, Reference, directions_that_fit, write_reference
from artifact.model import Description
from artifact.photos.measures import MEASURES, photo_measures
from train.data.channels import Channels, Photos
from train.data.photos import in_order
from train.job import Job
from train.result.features import Features
from train.result.measure import AT_ONCE, Answers
from train.result.some_photos import sized

MEASURED = 500  # photos of both channels together; decoding more would lengthen a training

log = logging.getLogger(__name__)


def write_drift_reference(
    job: Job,
    description: Description,
    channels: Channels,
    measured: Sequence[Answers],
    features: Mapping[str, Features],
    stop: Callable[[], bool],
) -> None:
    """Write model.reference.npz, unless stopped. Of the photos, those that this process can read.

    Answers and features are of the validation photos: of its own training photos a network is
    surer than of any new ones.
    """
    here = channels.on_host(0)
    validation = here.validation
    measures = [_measures(validation, PHOTOS, description, stop)]
    missing = MEASURED - len(measures[0])
    if missing > 0:
        measures.append(_measures(here.train, missing, description, stop))
    if stop():
        return
    answered = next((each for each in measured if each.channel == "validation"), None)
    if answered is None or len(answered.paths) != len(validation):
        answered = None
    chosen = _chosen(len(validation) if answered else 0)
    answers, probabilities = _best(answered, chosen)
    labels = answers
    classes = len(description.classes)
    counts = np.bincount(answers, minlength=classes)
    if not description.multi_label:
        labels = validation.labels.values[chosen, 0].astype(np.int64)
        every = [part.labels.values[:, 0] for part in (channels.train, channels.validation)]
        counts = np.bincount(np.concatenate(every), minlength=classes)
    projected = _projected(features if answered else {}, chosen)
    reference = Reference(
        np.concatenate(measures), counts, labels, answers, probabilities, *projected
    )
    write_reference(job.model, reference)
    log.info("reference: numbers of %d photos, for `launch drift`", len(reference.measures))


def _best(
    answered: Answers | None, chosen: list[int]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The most probable class of the chosen photos, and its probability."""
    if answered is None:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    probabilities, answers = answered.probabilities[chosen].max(dim=1)
    return answers.numpy(), probabilities.numpy()


def _chosen(count: int, most: int = PHOTOS) -> list[int]:
    """At most so many rows, evenly from all of them."""
    taken = min(count, most)
    return [place * count // taken for place in range(taken)]


def _measures(
    photos: Photos, most: int, description: Description, stop: Callable[[], bool]
) -> NDArray[np.float32]:
    """Of some photos as the network sees them, float32 [N, 5]; of fewer when stopped."""
    found = [np.zeros((0, len(MEASURES)), np.float32)]
    chosen = np.array(_chosen(len(photos), most), np.int64)
    batches = [chosen[places] for places in in_order(len(chosen), AT_ONCE)]
    # of the whole channel: so the photos that are decoded already are found
    arrays = sized(photos, description.preprocessing, keep=False)
    with contextlib.closing(arrays):
        for _, pixels in arrays.batches(batches):
            if stop():
                break
            found.append(photo_measures(pixels))
    return np.concatenate(found)


def _projected(
    features: Mapping[str, Features], chosen: Sequence[int]
) -> tuple[NDArray[np.float32], NDArray[np.float16], NDArray[np.float32]]:
    """Center [D], directions [D, K], and the validation photos along them [V, K].

    The directions are the principal components of the training photos. Those of the validation
    photos would fit these better than any new ones, and that alone would look like a drift.
    """
    if not {"train", "validation"} <= features.keys():
        return np.zeros(0, np.float32), np.zeros((0, 0), np.float16), np.zeros((0, 0), np.float32)
    train = features["train"].rows
    rows = train[_chosen(len(train))].double()
    width = rows.shape[1]
    center = rows.mean(dim=0)
    kept = min(directions_that_fit(width, features["train"].targets.shape[1]), len(rows))
    _, _, components = torch.linalg.svd(rows - center, full_matrices=False)
    directions = components[:kept].T.to(torch.float16)
    shown = features["validation"].rows[chosen].double() - center
    along = shown @ directions.double()
    return center.float().numpy(), directions.numpy(), along.float().numpy()
