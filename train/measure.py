"""What the artifact itself answers: photos through its own preprocessing and engine, as the endpoint would."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from artifact.engines import open_engine
from artifact.model import Description
from train.loop import Progress, top_k_share
from train.photos import PhotoArrays, in_order
from train.report import Measured

TINY = 1e-12  # a probability of 0 in float32 would make the loss infinite


def measure(directory: Path, description: Description, channel: str, paths: Sequence[Path], labels: Sequence[int],
            stop: Callable[[], bool]) -> Measured | None:
    """The artifact's probabilities for photos; None when `stop` said so before the last one. PhotoError for an unreadable one."""
    engine = open_engine(directory, description)
    photos = PhotoArrays(paths, description.preprocessing.pixels, description.preprocessing.crop, keep=False)
    answers = []
    progress = Progress(f"measuring on the {channel} channel", len(paths))
    for indices, pixels in photos.batches(in_order(len(paths), 8)):
        if stop():
            return None
        answers.append(engine.run(pixels))
        progress.add(len(indices))
    return Measured(channel, list(paths), np.asarray(labels, np.int64), np.concatenate(answers))


def accuracy(measured: Measured) -> float:
    """Share of photos whose most probable class is their label."""
    return float((measured.probabilities.argmax(axis=1) == measured.labels).mean())


def loss(measured: Measured) -> float:
    """Mean of -log(probability of the label) over the photos."""
    chosen = measured.probabilities[np.arange(len(measured.labels)), measured.labels].astype(np.float64)
    return float(-np.log(np.maximum(chosen, TINY)).mean())


def measured_line(measured: Measured, top_k: int) -> str:
    """`test: photos=… test_loss=… test_accuracy=…`, for people and for metric regexes."""
    name = measured.channel
    line = f"{name}: photos={len(measured.labels)} {name}_loss={loss(measured):.5f} {name}_accuracy={accuracy(measured):.5f}"
    return line + (f" {name}_top_{top_k}_accuracy={top_k_share(measured.probabilities, measured.labels, top_k):.5f}" if top_k else "")
