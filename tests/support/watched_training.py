"""A plain training loop with the hook, on a small task that a network learns in a few steps.

For tests of the tensors that are saved and of the rules over them.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from diagnose.evaluation import evaluate_tensors, open_trial
from diagnose.findings import Finding
from diagnose.locate import find_tensors
from diagnose.smdebug_compat import load_smdebug
from train.job import Job
from train.recording.debug_settings import DebugSettings
from train.recording.hooks import Hook, open_hook

if TYPE_CHECKING:  # the module loads smdebug, with its warnings
    from diagnose.trial import JobTrial

SIDE = 8  # pixels
CLASSES = 3
EVERY_STEP = DebugSettings(train_interval=1)

Photos = tuple[torch.Tensor, torch.Tensor]  # float [N, 3, 8, 8], labels int64 [N]


def photos(count: int, seed: int = 0, mean: float = 0.0) -> Photos:
    """Photos of mean `mean`, and labels, as many of each class.

    In photos of class c, a corner of channel c is brighter.
    """
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


def mlp(activation: type[nn.Module], layers: int, width: int = 16) -> nn.Sequential:
    """Linear layers, at 1, 3, 5 …, each with the activation behind it, and a linear head."""
    torch.manual_seed(0)
    parts: list[nn.Module] = [nn.Flatten(), nn.Linear(192, width), activation()]
    for _ in range(layers):
        parts += [nn.Linear(width, width), activation()]
    return nn.Sequential(*parts, nn.Linear(width, CLASSES))


def linear(network: nn.Sequential, index: int) -> nn.Linear:
    """A linear layer of the network."""
    layer = network[index]
    assert isinstance(layer, nn.Linear)
    return layer


def watch(
    root: Path,
    network: nn.Module,
    *,
    train: Photos | None = None,
    validation: Photos | None = None,
    epochs: int = 4,
    steps: int = 5,
    batch: int = 24,
    lr: float = 0.05,
    settings: DebugSettings | None = EVERY_STEP,
    close: bool = True,
    after_step: Callable[[int], None] = lambda step: None,
    lr_at: Callable[[int], float] = lambda epoch: 1.0,
    **hook_options,
) -> list[float]:
    """Train under `root` as under /opt/ml; the training losses.

    steps: per epoch. lr_at: a factor of lr, by epoch.
    """
    root.mkdir(parents=True, exist_ok=True)
    values, labels = train or photos(batch * steps)
    size = math.ceil(len(values) / steps)
    hook = open_hook(Job(root), settings, network, **hook_options)
    optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=0.9)
    losses: list[float] = []
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = lr * lr_at(epoch)
        if hook:
            hook.mode("train")
        network.train()
        for start in range(0, len(values), size):
            part = slice(start, start + size)
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
            validate(hook, network, validation, batch)
    if hook and close:
        hook.close()
    return losses


def validate(hook: Hook | None, network: nn.Module, validation: Photos, batch: int) -> None:
    """A pass over the validation photos."""
    values, labels = validation
    network.eval()
    if hook:
        hook.mode("eval")
    with torch.inference_mode():
        for start in range(0, len(values), batch):
            part = slice(start, start + batch)
            logits = network(values[part])
            if hook:
                loss = nn.functional.cross_entropy(logits, labels[part])
                hook.record(loss, labels[part], logits)


def evaluate(root: Path, rule: str, **parameters: object) -> Finding:
    """One rule's answer on a training that has ended."""
    (finding,) = evaluate_tensors(root, [rule], {rule: parameters})
    return finding


@dataclass(frozen=True)
class Issue:
    """A finding that fired, with all its fields."""

    step: int
    mode: str
    mode_step: int
    tensor: str
    value: float
    threshold: float
    sentence: str


def issue(root: Path, rule: str, **parameters: object) -> Issue:
    """The issue that one rule finds in a training that has ended; it must fire."""
    finding = evaluate(root, rule, **parameters)
    assert finding.fired, finding
    assert finding.step is not None
    assert finding.mode_step is not None
    assert finding.value is not None
    assert finding.threshold is not None
    return Issue(
        step=finding.step,
        mode=finding.mode,
        mode_step=finding.mode_step,
        tensor=finding.tensor,
        value=finding.value,
        threshold=finding.threshold,
        sentence=finding.sentence,
    )


def read(root: Path) -> "JobTrial":
    """smdebug's trial of a training that has ended."""
    with load_smdebug():
        trial = open_trial(find_tensors(root / "output"))
        trial.finish()
    return trial


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The training's warnings."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith("train")
    ]
