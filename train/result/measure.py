"""The artifact's own answers: photos through its preprocessing and engine, as at the endpoint."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from artifact.engines.openvino_engine import OpenVINOEngine
from artifact.model import Description
from train.data.photos import PhotoArrays, in_order
from train.learning.objective import is_correct, is_in_top_k, multi_hot, padded
from train.progress import Progress
from train.result.calibration import expected_calibration_error
from train.result.training_report import ReportedAnswers

if TYPE_CHECKING:
    from artifact.engines.torch_engine import TorchEngine

TINY = 1e-7  # a probability of 0 or 1 in float32 would make a loss infinite
AT_ONCE = 8  # photos


@dataclass(frozen=True)
class Answers:
    """The artifact's answers on a channel."""

    channel: str
    paths: Sequence[Path]  # [N]
    probabilities: torch.Tensor  # float32 [N, classes]
    wanted: torch.Tensor  # float32 [N, classes], the targets
    multi_label: bool
    precision: str  # of the engine
    engine_ms: float = 0.0  # of one core, per photo
    known: torch.Tensor | None = None  # bool [N]; None without a score

    def accuracy(self) -> float:
        """Share of photos that are answered correctly."""
        correct = is_correct(self.probabilities, self.wanted, self.multi_label, threshold=0.5)
        return correct.double().mean().item()

    def loss(self) -> float:
        """Mean cross-entropy of the photos; with multi_label, mean over the classes, too."""
        probabilities = self.probabilities.double().clamp(TINY, 1 - TINY)
        wanted = self.wanted.double()
        if self.multi_label:
            return torch.nn.functional.binary_cross_entropy(probabilities, wanted).item()
        return -(wanted * probabilities.log()).sum(dim=1).mean().item()

    def line(self, top_k: int) -> str:
        """`test: photos=… test_loss=… test_accuracy=… precision=…`, for metric regexes, too."""
        name = self.channel
        words = [
            f"{name}: photos={len(self.paths)}",
            f"{name}_loss={self.loss():.5f}",
            f"{name}_accuracy={self.accuracy():.5f}",
        ]
        if top_k:
            share = is_in_top_k(self.probabilities, self.wanted, top_k).double().mean().item()
            words.append(f"{name}_top_{top_k}_accuracy={share:.5f}")
        words.append(f"precision={self.precision}")
        return " ".join(words)

    def calibration_error(self) -> float:
        """The expected calibration error, 0 to 1."""
        return expected_calibration_error(
            self.probabilities, self.wanted, multi_label=self.multi_label
        )

    def for_report(self) -> ReportedAnswers:
        """The same with one label for each photo.

        It is the most probable class if the photo has that label, else the photo's first label.
        """
        best = self.probabilities.argmax(dim=1)
        hit = self.wanted.gather(1, best[:, None])[:, 0] > 0.5
        labels = torch.where(hit, best, self.wanted.argmax(dim=1))
        probabilities = self.probabilities.numpy()
        return ReportedAnswers(self.channel, self.paths, labels.numpy(), probabilities)


def measure(
    engine: "OpenVINOEngine | TorchEngine",
    description: Description,
    channel: str,
    photos: PhotoArrays,
    labels: Sequence[tuple[int, ...]],
    stop: Callable[[], bool],
) -> Answers | None:
    """An engine's answers on photos that are sized by the artifact's preprocessing.

    None when `stop` was true before the last photo. PhotoError for a photo that cannot be read.
    """
    classes = len(description.classes)
    costs: list[float] = []  # seconds of one core, per photo
    answers: list[NDArray[np.float32]] = [np.empty((0, description.columns), np.float32)]
    progress = Progress(f"measuring on the {channel} channel in {engine.precision}", len(labels))
    for indices, pixels in photos.batches(in_order(len(labels), AT_ONCE)):
        if stop():
            return None
        started = time.process_time()
        answers.append(engine.run(pixels))
        costs.append((time.process_time() - started) / len(pixels))
        progress.add(len(indices))
    columns = torch.from_numpy(np.concatenate(answers))
    known = None
    if description.known:
        known = columns[:, -1] <= description.known["threshold"]
    return Answers(
        channel,
        photos.paths,
        columns[:, :classes],
        multi_hot(padded(labels, classes), classes),
        description.multi_label,
        engine.precision,
        # Other photos are decoded beside most runs: the least disturbed one counts.
        1000 * min(costs, default=0.0),
        known,
    )
