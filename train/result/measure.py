"""What the artifact itself answers: photos through its own preprocessing and engine, as the endpoint would."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from artifact.model import Description
from artifact.openvino_engine import OpenVINOEngine
from train.data.photos import PhotoArrays, in_order
from train.learning.objective import is_correct, is_in_top_k, multi_hot, padded
from train.progress import Progress
from train.result.calibration import expected_calibration_error
from train.result.training_report import Measured

TINY = 1e-7  # a probability of 0 or 1 in float32 would make a loss infinite


@dataclass(frozen=True)
class Answers:
    """What the artifact answered on a channel: probabilities float32 [N, classes] and targets float32 [N, classes]."""

    channel: str
    paths: Sequence[Path]
    probabilities: torch.Tensor
    wanted: torch.Tensor
    multi_label: bool
    precision: str  # that the engine ran in

    def accuracy(self) -> float:
        """Share of photos that are answered rightly."""
        return (
            is_correct(self.probabilities, self.wanted, self.multi_label, threshold=0.5)
            .double()
            .mean()
            .item()
        )

    def loss(self) -> float:
        """Mean over the photos of the cross-entropy of the probabilities; with several labels, of the classes' mean."""
        chance, wanted = self.probabilities.double().clamp(TINY, 1 - TINY), self.wanted.double()
        if self.multi_label:
            return torch.nn.functional.binary_cross_entropy(chance, wanted).item()
        return -(wanted * chance.log()).sum(dim=1).mean().item()

    def line(self, top_k: int) -> str:
        """`test: photos=… test_loss=… test_accuracy=… precision=…`, for people and for metric regexes."""
        name = self.channel
        text = f"{name}: photos={len(self.paths)} {name}_loss={self.loss():.5f} {name}_accuracy={self.accuracy():.5f}"
        if top_k:
            text += f" {name}_top_{top_k}_accuracy={is_in_top_k(self.probabilities, self.wanted, top_k).double().mean().item():.5f}"
        return f"{text} precision={self.precision}"

    def calibration_error(self) -> float:
        """How far the probabilities lie from the share that is right, 0 to 1."""
        return expected_calibration_error(
            self.probabilities, self.wanted, multi_label=self.multi_label
        )

    def shown(self) -> Measured:
        """For the report, which knows one label a photo: the most probable one if it is a label of the photo, else its first."""
        best = self.probabilities.argmax(dim=1)
        hit = self.wanted.gather(1, best[:, None])[:, 0] > 0.5
        return Measured(
            self.channel,
            self.paths,
            torch.where(hit, best, self.wanted.argmax(dim=1)).numpy(),
            self.probabilities.numpy(),
        )


def measure(
    engine: OpenVINOEngine,
    description: Description,
    channel: str,
    photos: PhotoArrays,
    labels: Sequence[tuple[int, ...]],
    stop: Callable[[], bool],
) -> Answers | None:
    """The probabilities that an artifact's engine gives for photos (sized by its preprocessing); None when `stop` said so before the
    last one. PhotoError for an unreadable one."""
    answers = []
    progress = Progress(f"measuring on the {channel} channel in {engine.precision}", len(labels))
    for indices, pixels in photos.batches(in_order(len(labels), 8)):
        if stop():
            break
        answers.append(engine.run(pixels))
        progress.add(len(indices))
    probabilities = np.concatenate(answers) if answers else np.empty((0, len(description.classes)))
    if len(probabilities) < len(labels):
        return None
    classes = len(description.classes)
    return Answers(
        channel,
        photos.paths,
        torch.from_numpy(probabilities),
        multi_hot(padded(labels, classes), classes),
        description.multi_label,
        engine.precision,
    )
