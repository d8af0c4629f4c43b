"""The training itself: a step, an epoch, a validation. Knows nothing of files, checkpoints or SageMaker."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from artifact.network import Normalize
from artifact.preprocessing import Preprocessing
from recipes.hyperparameters import Hyperparameters
from train.data.cached_features import CachedFeatureLoader
from train.data.loader import PixelLoader
from train.data.photos import in_order
from train.distributed.context import DistributedContext
from train.learning.objective import is_correct, is_in_top_k, losses, multi_hot
from train.model.device import autocast
from train.model.trainable import learned, set_training
from train.progress import Progress
from train.recording.hooks import Hook
from train.recording.profile import NoProfile, Profile

EVALUATED_AT_ONCE = {
    "cpu": 16,
    "cuda": 128,
}  # photos; one number for all jobs, so that no setting changes a metric


@dataclass
class Learner:
    """All that a step needs; profile and hook watch it. `trainable_part` is what answers: the network, or its part behind the cut; `step_module` is what a step
    runs: the same, with the gradients of all processes brought together."""

    network: nn.Module
    classes: int
    frozen: list[nn.Module]
    optimizer: torch.optim.Optimizer
    hyperparameters: Hyperparameters
    preprocessing: Preprocessing
    device: torch.device
    precision: torch.dtype = torch.float32
    class_weights: torch.Tensor | None = None
    profile: NoProfile | Profile = field(default_factory=NoProfile)
    hook: Hook | None = None
    trainable_part: nn.Module | None = None
    context: DistributedContext = field(default_factory=DistributedContext)

    def __post_init__(self):
        self.trainable_part = self.trainable_part or self.network
        self.step_module: nn.Module = self.trainable_part
        self.normalize = Normalize(self.preprocessing).to(self.device)
        self.scaler = torch.amp.GradScaler(
            self.device.type, enabled=self.precision == torch.float16
        )

    def learned(self) -> dict[str, torch.Tensor]:
        """What training changes, by its name in the network's state; the tensors themselves."""
        return learned(self.network, self.frozen)

    def restore(self, values: dict[str, torch.Tensor]) -> None:
        """Put back what `learned` gave."""
        self.network.load_state_dict(values, strict=False)

    def autocast(self) -> torch.autocast:
        return autocast(self.device, self.precision)


def train_epoch(
    learner: Learner,
    feed: PixelLoader | CachedFeatureLoader,
    labels: torch.Tensor,
    epoch: int,
    stop: Callable[[], bool],
) -> dict | None:
    """One pass over the photos in a new order; None when `stop` said so in the middle.

    labels: int64 [N, K], padded, on the learner's device. Returns train_loss and train_accuracy, means over the photos as they
    were seen. Order, views and dropout depend on the seed and the epoch alone: an epoch done again is the same epoch.
    """
    hp, context = learner.hyperparameters, learner.context
    seed = hp.seed * 1_000_003 + epoch
    order = shuffled(
        len(labels), hp.batch_size, torch.Generator().manual_seed(seed), at_least=2 * context.size
    )
    if context.any_process(not feed.prepare(epoch, stop)):
        return None
    torch.manual_seed(seed + 7_919 * context.rank)
    set_training(learner.network, learner.frozen)
    sums = torch.zeros(2, dtype=torch.float64, device=learner.device)
    progress = Progress(f"epoch {epoch}", len(labels))
    stop = context.agreed_stop(stop)
    if learner.hook:
        learner.hook.mode("train")
    batches = learner.profile.steps(feed.batches(epoch, [context.shard(batch) for batch in order]))
    for batch, (indices, inputs) in zip(order, batches):
        if stop():
            return None
        wanted = multi_hot(labels[indices], learner.classes)
        each, logits = train_step(learner, inputs, wanted, len(batch))
        sums += torch.stack([each.sum(), is_correct(logits, wanted, hp.multi_label).sum()])
        progress.add(len(batch))
    loss, accuracy = (context.sum_across(sums) / len(labels)).tolist()
    return {"train_loss": loss, "train_accuracy": accuracy}


def train_step(
    learner: Learner, inputs: tuple[torch.Tensor, ...], wanted: torch.Tensor, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """One step of the optimizer. inputs: what `trainable_part` takes, [N, …]; wanted: targets, float [N, classes]; count: photos of
    the whole step, in all processes.

    Returns the photos' losses [N] and logits [N, classes]. The step follows the mean over the step's photos, not
    cross_entropy's own weighted mean, which would depend on who shares a batch.
    """
    hp = learner.hyperparameters
    with learner.profile.span("Forward"):
        with learner.autocast():
            logits = learner.step_module(*inputs)
        each = losses(
            logits.float(), wanted, hp.multi_label, learner.class_weights, hp.label_smoothing
        )
    if learner.hook:
        learner.hook.record(each.mean(), wanted, logits)
    with learner.profile.span("Backward"):
        learner.optimizer.zero_grad(set_to_none=True)
        # processes' gradients are averaged
        learner.scaler.scale(each.sum() * (learner.context.size / count)).backward()
    with learner.profile.span("Optimizer"):
        learner.scaler.step(learner.optimizer)
        learner.scaler.update()
    return each.detach(), logits.detach()


def validate(
    learner: Learner,
    feed: PixelLoader | CachedFeatureLoader,
    labels: torch.Tensor,
    stop: Callable[[], bool],
) -> dict | None:
    """Loss (unweighted, unsmoothed) and accuracy over all photos, each counted once; None when stopped. labels: int64 [N, K]."""
    hp = learner.hyperparameters
    if learner.hook:
        learner.hook.mode("eval")
    scores, wanted = predict(learner, feed, stop, labels), multi_hot(labels.cpu(), learner.classes)
    if scores is None:
        return None
    result = {
        "validation_loss": losses(scores.double(), wanted.double(), hp.multi_label).mean().item(),
        "validation_accuracy": is_correct(scores, wanted, hp.multi_label).double().mean().item(),
    }
    if hp.top_k:
        result[f"validation_top_{hp.top_k}_accuracy"] = (
            is_in_top_k(scores, wanted, hp.top_k).double().mean().item()
        )
    return result


def predict(
    learner: Learner,
    feed: PixelLoader | CachedFeatureLoader,
    stop: Callable[[], bool],
    labels: torch.Tensor | None = None,
) -> torch.Tensor | None:
    """The network's logits for all photos as they are, float32 [N, classes] on the CPU; None when stopped. labels, int64 [N, K], are
    for the hook alone."""
    learner.network.eval()
    if learner.context.any_process(not feed.prepare(0, stop)):
        return None
    order = in_order(len(feed), EVALUATED_AT_ONCE[learner.device.type])
    logits = [torch.empty(0, learner.classes, device=learner.device)]
    for indices, inputs in learner.profile.steps(
        feed.batches(0, learner.context.shard(order)), "EVAL"
    ):
        if stop():
            break
        with torch.inference_mode(), learner.autocast(), learner.profile.span("Forward"):
            logits.append(learner.trainable_part(*inputs).float())
        if learner.hook and labels is not None:
            wanted = multi_hot(labels.to(learner.device)[indices], learner.classes)
            learner.hook.record(
                losses(logits[-1], wanted, learner.hyperparameters.multi_label).mean(),
                wanted,
                logits[-1],
            )
    if learner.context.any_process(stop()):
        return None
    return learner.context.gather(torch.cat(logits), order).cpu()


def shuffled(
    count: int, size: int, generator: torch.Generator, at_least: int = 2
) -> list[np.ndarray]:
    """All indices in random order, in batches; a last batch of fewer than `at_least` joins the one before (BatchNorm needs two)."""
    order = torch.randperm(count, generator=generator).numpy()
    batches = [order[start : start + size] for start in range(0, count, size)]
    if len(batches) > 1 and len(batches[-1]) < min(at_least, size):
        batches[-2:] = [np.concatenate(batches[-2:])]
    return batches
