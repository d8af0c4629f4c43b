"""The training itself: a step, an epoch, a validation.

Knows nothing of files, checkpoints or SageMaker.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

from artifact.networks.network import Normalize, put_values
from artifact.photos.preprocessing import Preprocessing
from recipes.hyperparameters import Hyperparameters
from train.data.batches import PAIR, accumulated, mix, mixes, shuffled
from train.data.loader import PixelLoader
from train.data.photos import in_order
from train.device import autocast
from train.distributed.context import ALONE, DistributedContext, Indices, Owners
from train.learning.average import WeightAverage
from train.learning.cached_features import CachedFeatureLoader
from train.learning.objective import is_correct, is_in_top_k, losses, multi_hot
from train.model.trainable import learned, set_training
from train.progress import Progress
from train.recording.hooks import Hook
from train.recording.profile import NoProfile, Profile

# Photos in a forward pass of `predict`: fixed, so that no setting changes a metric.
EVALUATED_AT_ONCE = {"cpu": 16, "cuda": 128}

Loader = PixelLoader | CachedFeatureLoader
# By name. The epoch is a whole number; validation metrics are None without validation photos.
Metrics = dict[str, float | None]


@dataclass
class Learner:
    """All that a step needs; `profile` and `hook` observe it.

    trainable_part: the module that gives the logits: the network, or its part behind the frozen
    one where that part's features are cached. step_module: the same as a training step runs it,
    with the gradients of all processes averaged, and compiled where asked. average: of the weights
    after each step, where asked.
    """

    network: nn.Module
    classes: int
    frozen: list[nn.Module]
    optimizer: torch.optim.Optimizer
    hyperparameters: Hyperparameters
    preprocessing: Preprocessing
    device: torch.device
    precision: torch.dtype = torch.float32
    class_weights: torch.Tensor | None = None  # float32 [classes]
    profile: NoProfile | Profile = field(default_factory=NoProfile)
    hook: Hook | None = None
    context: DistributedContext = ALONE
    trainable_part: nn.Module = field(init=False)
    step_module: nn.Module = field(init=False)
    average: WeightAverage | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.trainable_part = self.network
        self.step_module = self.network
        self.normalize = Normalize(self.preprocessing).to(self.device)
        scaled = self.precision == torch.float16  # whose smallest gradients would become 0
        self.scaler = torch.amp.grad_scaler.GradScaler(self.device.type, enabled=scaled)
        self.begin_average()

    @property
    def observed(self) -> bool:
        """Whether a hook takes tensors from within the network."""
        return self.hook is not None and self.hook.observes_network

    def begin_average(self) -> None:
        """Let the average of the weights, if there is one, begin with those of now."""
        decay = self.hyperparameters.ema_decay
        if decay:
            self.average = WeightAverage(self.learned(), decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the network has the average of its weights, if there is one."""
        if self.average is None:
            yield
            return
        own = {name: value.clone() for name, value in self.learned().items()}
        self.restore(self.average.values)
        try:
            yield
        finally:
            self.restore(own)

    def learned(self) -> dict[str, torch.Tensor]:
        """All values that training changes, by name in the network's state; not copies."""
        return learned(self.network, self.frozen)

    def restore(self, values: dict[str, torch.Tensor]) -> None:
        """Put back the values that `learned` gave."""
        put_values(self.network, values, strict=False)

    def autocast(self) -> torch.autocast:
        """The context in which the network computes in `precision`."""
        return autocast(self.device, self.precision)


def train_epoch(
    learner: Learner,
    loader: Loader,
    labels: torch.Tensor,
    epoch: int,
    stop: Callable[[], bool],
) -> Metrics | None:
    """One pass over the photos in a new order; None when `stop` ended it early.

    labels: int64 [N, K], padded, on the learner's device. Returns train_loss and train_accuracy,
    means over the photos as they were seen. Order, views and dropout depend on the seed and the
    epoch alone: an epoch done again is the same epoch.
    """
    hp = learner.hyperparameters
    context = learner.context
    seed = hp.seed * 1_000_003 + epoch
    generator = torch.Generator().manual_seed(seed)
    # the same in all processes: each needs two photos of every batch
    order = shuffled(len(labels), hp.batch_size, generator, 2 * context.size, loader.owners)
    if context.any_process(not loader.prepare(epoch, stop)):
        return None
    _begin_epoch(learner, seed)
    stop = context.agreed_stop(stop)
    progress = Progress(f"epoch {epoch}", len(labels))
    sums = torch.zeros(2, dtype=torch.float64, device=learner.device)  # on the device: no waiting
    own = loader.batches(epoch, _shares(learner, order, loader.owners))
    steps = zip(order, learner.profile.steps(own), strict=False)
    for number, (whole, (indices, inputs)) in enumerate(steps):
        if stop():
            return None
        targets = multi_hot(labels[indices], learner.classes)
        if mixes(hp):
            inputs, targets = mix(hp, inputs, targets, (hp.seed, epoch, number))
        step = accumulated(order, number, hp.accumulate)
        photo_losses, logits = train_step(learner, inputs, targets, *step)
        correct = is_correct(logits, targets, hp.multi_label)
        sums += torch.stack([photo_losses.sum(), correct.sum()])
        progress.add(len(whole))
    loss, accuracy = (context.sum_across(sums) / len(labels)).tolist()
    return {"train_loss": loss, "train_accuracy": accuracy}


def _shares(learner: Learner, order: list[Indices], owners: Owners) -> list[Indices]:
    """This process's part of each batch."""
    together = PAIR if mixes(learner.hyperparameters) else 1
    return [learner.context.share(batch, together, owners) for batch in order]


def _begin_epoch(learner: Learner, seed: int) -> None:
    torch.manual_seed(seed + 7_919 * learner.context.rank)  # dropout differs among processes
    set_training(learner.network, learner.frozen, learner.hyperparameters.frozen_statistics)
    if learner.hook:
        learner.hook.mode("train")


def train_step(
    learner: Learner,
    inputs: tuple[torch.Tensor, ...],
    targets: torch.Tensor,
    count: int,
    begins: bool = True,
    ends: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One step of the optimizer; the photos' losses [N] and logits [N, classes].

    inputs: of `step_module`, [N, …]. targets: float [N, classes]. count: photos of the whole step,
    in all processes. begins, ends: whether this is the first and the last batch of the step. The
    step follows the mean over its photos. cross_entropy's own weighted mean would make a photo's
    part depend on the others in its batch.
    """
    hp = learner.hyperparameters
    context = learner.context
    with context.averaging(learner.step_module, ends):
        with learner.profile.span("Forward"):
            with learner.autocast():
                logits = learner.step_module(*inputs)
            photo_losses = losses(
                logits.float(), targets, hp.multi_label, learner.class_weights, hp.label_smoothing
            )
        if learner.hook:
            learner.hook.record(photo_losses.mean(), targets, logits)
        with learner.profile.span("Backward"):
            if begins:
                learner.optimizer.zero_grad(set_to_none=True)
            # `size` undoes the averaging of gradients over the processes
            loss = photo_losses.sum() * (context.size / count)
            learner.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # torch's gap
    if ends:
        with learner.profile.span("Optimizer"):
            _update(learner)
    return photo_losses.detach(), logits.detach()


def _update(learner: Learner) -> None:
    """Clip the gradients where asked, take the optimizer's step, and average its weights."""
    most = learner.hyperparameters.clip_gradients
    if most:
        learner.scaler.unscale_(learner.optimizer)
        groups = learner.optimizer.param_groups
        nn.utils.clip_grad_norm_([value for group in groups for value in group["params"]], most)
    learner.scaler.step(learner.optimizer)
    learner.scaler.update()
    if learner.average:
        learner.average.update(learner.learned())


def validate(
    learner: Learner,
    loader: Loader,
    labels: torch.Tensor,
    stop: Callable[[], bool],
) -> Metrics | None:
    """Loss (unweighted, unsmoothed) and accuracy over all photos; None when stopped.

    Each photo counts once. labels: int64 [N, K], padded.
    """
    hp = learner.hyperparameters
    if learner.hook:
        learner.hook.mode("eval")
    logits = predict(learner, loader, stop, labels)
    if logits is None:
        return None
    targets = multi_hot(labels.cpu(), learner.classes)
    loss, accuracy = loss_and_accuracy(logits, targets, hp.multi_label)
    metrics: Metrics = {"validation_loss": loss, "validation_accuracy": accuracy}
    if hp.top_k:
        in_top_k = is_in_top_k(logits, targets, hp.top_k)
        metrics[f"validation_top_{hp.top_k}_accuracy"] = _share(in_top_k)
    return metrics


def loss_and_accuracy(
    logits: torch.Tensor, targets: torch.Tensor, multi_label: bool
) -> tuple[float, float]:
    """The mean loss (unweighted, unsmoothed) and the share of correct answers.

    logits, targets: float [N, classes].
    """
    photo_losses = losses(logits.double(), targets.double(), multi_label)
    accuracy = _share(is_correct(logits, targets, multi_label))
    return photo_losses.mean().item(), accuracy


def predict(
    learner: Learner,
    loader: Loader,
    stop: Callable[[], bool],
    labels: torch.Tensor | None = None,
) -> torch.Tensor | None:
    """The logits of all photos as they are, float32 [N, classes] on the CPU; None when stopped.

    labels: int64 [N, K], padded, for the hook alone.
    """
    context = learner.context
    learner.network.eval()
    if context.any_process(not loader.prepare(0, stop)):
        return None
    dealt = dealt_in_order(learner, len(loader), loader.owners)
    own = loader.batches(0, dealt[context.rank])
    parts = [torch.empty(0, learner.classes, device=learner.device)]  # a process may have no batch
    for indices, inputs in learner.profile.steps(own, "EVAL"):
        if stop():
            break
        with torch.inference_mode(), learner.autocast(), learner.profile.span("Forward"):
            logits = _answers(learner, inputs).float()
        parts.append(logits)
        if learner.hook and labels is not None:
            targets = multi_hot(labels.to(learner.device)[indices], learner.classes)
            photo_losses = losses(logits, targets, learner.hyperparameters.multi_label)
            learner.hook.record(photo_losses.mean(), targets, logits)
    if context.any_process(stop()):
        return None
    return context.gather(torch.cat(parts), dealt).cpu()


def dealt_in_order(learner: Learner, count: int, owners: Owners = None) -> list[list[Indices]]:
    """Each process's batches of a channel's photos as they are. owners: as of `deal`."""
    order = in_order(count, EVALUATED_AT_ONCE[learner.device.type])
    return learner.context.deal(order, owners)


def _answers(learner: Learner, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Logits as the artifact gives them; of kept features, which have no mirror, as they are."""
    logits: torch.Tensor = learner.trainable_part(*inputs)
    if learner.hyperparameters.flip_average and learner.trainable_part is learner.network:
        logits = (logits + learner.trainable_part(inputs[0].flip(3))) / 2
    return logits


def _share(flags: torch.Tensor) -> float:
    return flags.double().mean().item()
