"""A few of a training's photos: to compare an exported artifact on, and to judge int8 by."""

import contextlib
import dataclasses

import numpy as np
from numpy.typing import NDArray

from artifact.engines.probe import probe_facts, probe_rows
from artifact.model import Description
from artifact.photos.kinds import PhotoError
from artifact.photos.preprocessing import Preprocessing
from train.data.channels import Channels, Photos
from train.data.photos import PhotoArrays

SAMPLES = 4  # photos on which the exported artifact is compared with the network


def spread(photos: Photos, most: int) -> Photos:
    """At most `most` photos, evenly from the whole list, which is sorted by class."""
    count = min(most, len(photos))
    return photos.take([index * len(photos) // count for index in range(count)])


def sized(photos: Photos, preprocessing: Preprocessing, keep: bool) -> PhotoArrays:
    """The photos as the artifact's preprocessing sizes them."""
    return PhotoArrays(photos.paths, preprocessing.pixels, preprocessing.crop, keep=keep)


def export_samples(
    channels: Channels, preprocessing: Preprocessing, failed: bool
) -> NDArray[np.uint8]:
    """A few photos as the server sees them, uint8 [N, S, S, 3].

    After a failure: noise, and those of the photos that can be read.
    """
    photos = channels.validation if len(channels.validation) else channels.train
    paths = spread(photos, SAMPLES).paths
    if not failed:
        return np.stack([preprocessing.network_pixels(path) for path in paths])
    size = (preprocessing.crop, preprocessing.crop, 3)
    samples = [np.random.default_rng(0).integers(0, 256, size, np.uint8)]
    for path in paths:
        with contextlib.suppress(PhotoError):
            samples.append(preprocessing.network_pixels(path))
    return np.stack(samples)


def with_probe(
    description: Description, channels: Channels, wanted: bool
) -> tuple[Description, NDArray[np.uint8] | None]:
    """The description with a probe, and the probe's photos, uint8 [N, S, S, 3].

    They are of the validation channel, or of the training's without one. None where it is not
    wanted.
    """
    if not wanted:
        return description, None
    photos = channels.validation if len(channels.validation) else channels.train
    side = description.preprocessing.crop
    rows = probe_rows(len(photos), side, description.columns)
    pixels = np.empty((len(rows), side, side, 3), np.uint8)
    for place, row in enumerate(rows):
        pixels[place] = description.preprocessing.network_pixels(photos.paths[row])
    return dataclasses.replace(description, probe=probe_facts(pixels)), pixels
