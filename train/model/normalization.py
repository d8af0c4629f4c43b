"""Batch normalisation over the photos of a whole step, whichever process has them.

The statistics are those that one process would compute. On GPUs torch's SyncBatchNorm does this;
on processors, where there is none, the class below.
"""

import sys
from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from train.distributed.context import DistributedContext
from train.job import JobError

PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class _Sum(torch.autograd.Function):
    """The sum over all processes. Its gradient in each process is the sum of all gradients."""

    # Any: torch types neither the context of a function nor `apply`.
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, group: dist.ProcessGroup | None) -> torch.Tensor:
        ctx.group = group
        values = values.clone()
        dist.all_reduce(values, group=group)
        return values

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _sum_across(gradient, ctx.group), None


def _sum_across(values: torch.Tensor, group: dist.ProcessGroup | None) -> torch.Tensor:
    total: torch.Tensor = _Sum.apply(values, group)  # type: ignore[no-untyped-call]  # torch's
    return total


class SharedBatchNorm(_BatchNorm):
    """BatchNorm of any dimension whose statistics are those of all processes' samples.

    One sum over the processes forward and one backward. The processes may have different numbers
    of samples, and none.
    """

    group: dist.ProcessGroup | None = None

    def _check_input_dim(self, samples: torch.Tensor) -> None:
        if samples.dim() < 2:
            raise ValueError(f"expected samples of at least two dimensions, found {samples.dim()}")

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Float [N, C, ...] normalised per channel C."""
        if not self.training:
            normalized: torch.Tensor = super().forward(samples)
            return normalized
        self._check_input_dim(samples)
        channels = samples.shape[1]
        others = [dim for dim in range(samples.dim()) if dim != 1]
        shape = [1, -1, *[1] * (samples.dim() - 2)]  # of a value per channel, to broadcast
        shift = self._shift(channels)
        moved = samples.to(torch.promote_types(samples.dtype, torch.float32)) - shift.view(shape)
        own_count = moved.new_tensor([samples.numel() // channels])
        own_sums = torch.cat([moved.sum(others), moved.square().sum(others), own_count])
        sums = _sum_across(own_sums, self.group)
        total, total_square, count = torch.split(sums, [channels, channels, 1])
        count = count.detach()
        if count.item() < 2:
            # torch's own words, which train/failure.py knows
            size = samples.size()
            raise ValueError(
                f"Expected more than 1 value per channel when training, got input size {size}"
            )
        mean = total / count
        variance = (total_square / count - mean.square()).clamp(min=0)
        unbiased = variance * (count / (count - 1))
        self._update_running((mean + shift).detach(), unbiased.detach())
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        normalized = (moved - mean.view(shape)) * scale.view(shape)
        if self.affine:
            normalized = normalized + self.bias.view(shape)
        return normalized.to(samples.dtype)

    def _shift(self, channels: int) -> torch.Tensor:
        """The running mean, equal in all processes, or zeros without one.

        A variance from sums of squares far from 0 would lose its digits.
        """
        if self.running_mean is None:
            return torch.zeros(channels)
        return self.running_mean.clone()

    def _update_running(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None  # torch makes the three together
        self.num_batches_tracked.add_(1)
        momentum = self.momentum
        if momentum is None:  # a cumulative average, as torch's
            momentum = 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


class SharedBatchNormAct(SharedBatchNorm):
    """The same with what timm's BatchNormAct2d does behind it: dropout and the activation."""

    drop: nn.Module
    act: nn.Module

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Float [N, C, ...] normalised per channel C, and activated."""
        activated: torch.Tensor = self.act(self.drop(super().forward(samples)))
        return activated


def synchronize(
    network: nn.Module,
    frozen: Sequence[nn.Module],
    context: DistributedContext,
    device: torch.device,
) -> None:
    """Replace the trainable BatchNorm modules by ones whose statistics are all processes'.

    Parameters, buffers and names stay the same. Frozen modules stay as they are.
    """
    if context.size == 1:
        return
    still = set(frozen)
    for path, module in list(network.named_modules()):
        if not isinstance(module, _BatchNorm) or module in still:
            continue
        parent, _, name = path.rpartition(".")
        setattr(network.get_submodule(parent), name, _synchronized(module, context, device))


def _timm_norm() -> tuple[type[nn.Module], ...]:
    """timm's BatchNorm with an activation; empty where no network of timm's can be there."""
    if "timm" not in sys.modules:
        return ()
    from timm.layers.norm_act import BatchNormAct2d

    return (BatchNormAct2d,)


def _synchronized(
    module: _BatchNorm, context: DistributedContext, device: torch.device
) -> nn.Module:
    activates = isinstance(module, _timm_norm())
    if not activates and type(module) not in PLAIN:
        raise JobError(
            f"the model normalises by {type(module).__name__}, which several processes cannot "
            "share; train in one: on one host, with SLIPWAY_PROCESSES=1"
        )
    if device.type == "cuda":
        convert: Any = nn.SyncBatchNorm.convert_sync_batchnorm  # torch gives it no types
        if activates:
            from timm.layers.norm_act import (
                convert_sync_batchnorm as convert,  # torch's drops the activation
            )
        converted: nn.Module = convert(module, context.data)
        return converted
    kind = SharedBatchNormAct if activates else SharedBatchNorm
    shared = kind(
        module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats
    )
    if isinstance(shared, SharedBatchNormAct):
        shared.drop = cast(nn.Module, module.drop)
        shared.act = cast(nn.Module, module.act)
    shared.weight = module.weight
    shared.bias = module.bias
    shared.running_mean = module.running_mean
    shared.running_var = module.running_var
    shared.num_batches_tracked = module.num_batches_tracked
    shared.training = module.training
    shared.group = context.data
    return shared
