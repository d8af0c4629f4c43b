"""A plain training loop with the hook, on a small task that a network learns in a few steps: for tests of what is saved and what rules say."""

import logging
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from diagnose.evaluation import open_trial
from diagnose.locate import find_tensors
from diagnose.smdebug_compat import load_smdebug
from train.job import Job
from train.recording.debug_settings import DebugSettings
from train.recording.hooks import open_hook

SIDE = 8  # pixels
CLASSES = 3


def photos(count: int, seed: int = 0, mean: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """float [N, 3, 8, 8] of mean `mean` and labels int64 [N], as many of each class: in photos of class c, a corner of channel c is brighter."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    values = torch.randn(count, 3, SIDE, SIDE, generator=generator)
    for index, label in enumerate(labels):
        values[index, label, :4, :4] += 2.0
    return values - values.mean((0, 2, 3), keepdim=True) + mean, labels


def small_network(seed: int = 0) -> nn.Sequential:
    """As torchvision's are built: convolution, BatchNorm, in-place ReLU, head."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, CLASSES),
    )


def watch(
    root: Path,
    network: nn.Module,
    *,
    train=None,
    validation=None,
    epochs: int = 4,
    steps: int = 5,
    batch: int = 24,
    lr: float = 0.05,
    settings: DebugSettings | None = DebugSettings(train_interval=1),
    close: bool = True,
    after_step: Callable[[int], None] = lambda step: None,
    lr_at: Callable[[int], float] = lambda epoch: 1.0,
    **hook_options,
) -> list[float]:
    """Train under `root` as under /opt/ml; the training losses. train and validation: photos and labels."""
    root.mkdir(parents=True, exist_ok=True)
    values, labels = train or photos(batch * steps)
    hook = open_hook(Job(root), settings, network, **hook_options)
    optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=0.9)
    losses = []
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = lr * lr_at(epoch)
        if hook:
            hook.mode("train")
        network.train()
        for start in range(0, len(values), math.ceil(len(values) / steps)):
            part = slice(start, start + math.ceil(len(values) / steps))
            logits = network(values[part])
            loss = nn.functional.cross_entropy(logits, labels[part])
            if hook:
                hook.record(loss, labels[part], logits)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            after_step(len(losses))
        if validation:
            validate(hook, network, *validation, batch=batch)
    if hook and close:
        hook.close()
    return losses


def validate(
    hook, network: nn.Module, values: torch.Tensor, labels: torch.Tensor, batch: int = 24
) -> None:
    network.eval()
    if hook:
        hook.mode("eval")
    with torch.inference_mode():
        for start in range(0, len(values), batch):
            logits = network(values[start : start + batch])
            if hook:
                hook.record(
                    nn.functional.cross_entropy(logits, labels[start : start + batch]),
                    labels[start : start + batch],
                    logits,
                )


def read(root: Path):
    """smdebug's trial of a training that has ended."""
    with load_smdebug():
        trial = open_trial(find_tensors(root / "output"))
        trial.finish()
    return trial


def warnings_of(caplog) -> list[str]:
    """What the training warned of."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith("train")
    ]
