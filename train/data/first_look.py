"""Decodes the photos that are held out before the first epoch, so that a torn one is found then.

Training reads the others in its first epoch. What is decoded here is kept for measuring.
"""

import contextlib
from collections.abc import Callable

from artifact.photos.preprocessing import Preprocessing
from train.data.cache import DEFAULT_LIMITS
from train.data.channels import Channels, Photos
from train.data.photos import PhotoArrays, in_order
from train.distributed.context import DistributedContext
from train.progress import Progress

AT_ONCE = 32  # photos


def look_at_held_out(
    channels: Channels,
    preprocessing: Preprocessing,
    validation: PhotoArrays,
    context: DistributedContext,
    stop: Callable[[], bool],
) -> None:
    """Decode the validation and the test photos. PhotoError for one that cannot be read.

    validation: the arrays of the validation channel. Several processes share the photos.
    """
    if context.size == 1:
        _decode(validation, "validation", stop)
        _decode_channel(channels.test, "test", preprocessing, context, stop)
        return
    for name, photos in (("validation", channels.validation), ("test", channels.test)):
        _decode_channel(photos, name, preprocessing, context, stop)


def _decode_channel(
    photos: Photos,
    name: str,
    preprocessing: Preprocessing,
    context: DistributedContext,
    stop: Callable[[], bool],
) -> None:
    own = photos.paths[context.rank :: context.size]
    # the store has all photos of a channel, or none
    limits = DEFAULT_LIMITS if context.size == 1 else None
    arrays = PhotoArrays(own, preprocessing.pixels, preprocessing.crop, keep=False, limits=limits)
    with contextlib.closing(arrays):
        _decode(arrays, name, stop)


def _decode(arrays: PhotoArrays, name: str, stop: Callable[[], bool]) -> None:
    progress = Progress(f"looking at the {name} photos", len(arrays))
    with contextlib.closing(arrays.batches(in_order(len(arrays), AT_ONCE))) as batches:
        for indices, _ in batches:
            progress.add(len(indices))
            if stop():
                return
