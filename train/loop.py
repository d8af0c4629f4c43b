"""The training itself: a step, an epoch, a validation. Knows nothing of files, checkpoints or SageMaker."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from artifact.network import Normalize
from artifact.preprocessing import Preprocessing
from train.augmentation import PRESETS, augment
from train.hyperparameters import Hyperparameters
from train.objective import losses, right, targets, top_k_right
from train.photos import PhotoArrays, in_order
from train.trainable import set_training

PROGRESS_S = 20.0
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

log = logging.getLogger(__name__)


@dataclass
class Learner:
    """All that a step needs."""

    network: nn.Module
    classes: int
    frozen: list[nn.Module]
    optimizer: torch.optim.Optimizer
    hyperparameters: Hyperparameters
    preprocessing: Preprocessing
    device: torch.device
    class_weights: torch.Tensor | None = None

    def __post_init__(self):
        self.normalize = Normalize(self.preprocessing).to(self.device)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.hyperparameters.precision == "float16")

    def autocast(self) -> torch.autocast:
        dtype = PRECISIONS[self.hyperparameters.precision]
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype != torch.float32)


def train_epoch(learner: Learner, photos: PhotoArrays, labels: torch.Tensor, epoch: int, stop: Callable[[], bool]) -> dict | None:
    """One pass over the photos in a new order; None when `stop` said so in the middle.

    labels: int64 [N, K], padded. Returns train_loss and train_accuracy, means over the photos as they were seen. Order,
    views and dropout depend on the seed and the epoch alone: an epoch done again is the same epoch.
    """
    hp = learner.hyperparameters
    torch.manual_seed(hp.seed * 1_000_003 + epoch)
    generator = torch.Generator().manual_seed(hp.seed * 1_000_003 + epoch)
    order = shuffled(len(labels), hp.batch_size, generator)
    set_training(learner.network, learner.frozen)
    loss_sum = torch.zeros((), device=learner.device)
    correct = torch.zeros((), device=learner.device)
    progress = Progress(f"epoch {epoch}", len(labels))
    for indices, pixels in photos.batches(order):
        if stop():
            return None
        samples = _samples(learner, photos, indices, pixels, generator)
        wanted = targets(labels[indices], learner.classes).to(learner.device)
        each, logits = train_step(learner, samples, wanted)
        loss_sum += each.sum()
        correct += right(logits, wanted, hp.multi_label).sum()
        progress.add(len(indices))
    return {"train_loss": loss_sum.item() / len(labels), "train_accuracy": correct.item() / len(labels)}


def train_step(learner: Learner, samples: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """One step of the optimizer. samples: float [N, 3, S, S], 0..255; wanted: targets, float [N, classes].

    Returns the photos' losses [N] and logits [N, classes]. The step follows the mean over the photos, not
    cross_entropy's own weighted mean, which would depend on who shares a batch.
    """
    hp = learner.hyperparameters
    with learner.autocast():
        logits = learner.network(learner.normalize(samples))
    each = losses(logits.float(), wanted, hp.multi_label, learner.class_weights, hp.label_smoothing)
    learner.optimizer.zero_grad(set_to_none=True)
    learner.scaler.scale(each.mean()).backward()
    learner.scaler.step(learner.optimizer)
    learner.scaler.update()
    return each.detach(), logits.detach()


def validate(learner: Learner, photos: PhotoArrays, labels: torch.Tensor, stop: Callable[[], bool]) -> dict | None:
    """Loss (unweighted, unsmoothed) and accuracy over all photos, `test_batch_size` at once; None when stopped."""
    hp = learner.hyperparameters
    scores, wanted = predict(learner, photos, hp.test_batch_size, stop), targets(labels, learner.classes)
    if scores is None:
        return None
    result = {"validation_loss": losses(scores.double(), wanted.double(), hp.multi_label).mean().item(),
              "validation_accuracy": right(scores, wanted, hp.multi_label).double().mean().item()}
    if hp.top_k:
        result[f"validation_top_{hp.top_k}_accuracy"] = top_k_right(scores, wanted, hp.top_k).double().mean().item()
    return result


def predict(learner: Learner, photos: PhotoArrays, size: int, stop: Callable[[], bool]) -> torch.Tensor | None:
    """The network's logits for all photos in float32, [N, classes], `size` photos at once; None when stopped."""
    learner.network.eval()
    logits = []
    for _, pixels in photos.batches(in_order(len(photos.paths), size)):
        if stop():
            return None
        samples = torch.from_numpy(pixels).to(learner.device).permute(0, 3, 1, 2).float()
        with torch.inference_mode():
            logits.append(learner.network(learner.normalize(samples)).cpu())
    return torch.cat(logits)


def shuffled(count: int, size: int, generator: torch.Generator) -> list[np.ndarray]:
    """All indices in random order, in batches; a last batch of one joins the one before (BatchNorm needs two)."""
    order = torch.randperm(count, generator=generator).numpy()
    batches = [order[start:start + size] for start in range(0, count, size)]
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [np.concatenate(batches[-2:])]
    return batches


class Progress:
    """A log line now and then in a long pass."""

    def __init__(self, what: str, total: int):
        self.what, self.total, self.done = what, total, 0
        self.started = self.told = time.monotonic()

    def add(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.told > PROGRESS_S:
            self.told = now
            log.info("progress: %s, %d of %d photos, %.1f photos/s", self.what, self.done, self.total, self.done / (now - self.started))


def _samples(learner: Learner, photos: PhotoArrays, indices: np.ndarray, pixels: np.ndarray, generator: torch.Generator) -> torch.Tensor:
    pixels = torch.from_numpy(pixels).to(learner.device, non_blocking=True)
    preset = learner.hyperparameters.augmentation
    if preset == "none":
        return pixels.permute(0, 3, 1, 2).float()
    aspects = torch.from_numpy(photos.aspects[indices])
    return augment(pixels, aspects, learner.preprocessing.crop, PRESETS[preset], generator)
