"""Batch normalisation over the photos of a whole step, whichever process has them: as many processes as one would give.

torch's SyncBatchNorm does it on GPUs; on processors, where there is none, the class below does.
"""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from train.distributed.context import DistributedContext


class _Sum(torch.autograd.Function):
    """The sum over all processes; a sum's gradient in each is that of all of them."""

    @staticmethod
    def forward(ctx, values: torch.Tensor, group: dist.ProcessGroup) -> torch.Tensor:
        ctx.group = group
        values = values.clone()
        dist.all_reduce(values, group=group)
        return values

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _Sum.apply(gradient, ctx.group), None


class SharedBatchNorm(_BatchNorm):
    """BatchNorm of any dimension whose mean and variance are those of all processes' samples, for processors.

    One sum over the processes each way; it takes unequal numbers of samples, and none.
    """

    group: dist.ProcessGroup | None = None

    def _check_input_dim(self, samples: torch.Tensor) -> None:
        if samples.dim() < 2:
            raise ValueError(f"expected samples of at least two dimensions, found {samples.dim()}")

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(samples)
        self._check_input_dim(samples)
        others, shape = (
            [dim for dim in range(samples.dim()) if dim != 1],
            [1, -1, *[1] * (samples.dim() - 2)],
        )
        # moved by the running mean, equal in all processes: a variance from sums of squares far from 0 would lose its digits
        shift = (
            torch.zeros(samples.shape[1])
            if self.running_mean is None
            else self.running_mean.clone()
        )
        moved = samples.to(torch.promote_types(samples.dtype, torch.float32)) - shift.view(shape)
        count = moved.new_tensor([samples.numel() // samples.shape[1]])
        sums = _Sum.apply(
            torch.cat([moved.sum(others), moved.square().sum(others), count]), self.group
        )
        mean, square, count = sums.split([samples.shape[1], samples.shape[1], 1])
        count = count.detach()
        if count.item() < 2:
            raise ValueError(
                f"Expected more than 1 value per channel when training, got input size {samples.size()}"
            )
        mean, square = mean / count, square / count
        variance = (square - mean.square()).clamp(min=0)
        self._remember((mean + shift).detach(), (variance * (count / (count - 1))).detach())
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        normalized = (moved - mean.view(shape)) * scale.view(shape)
        return (normalized + self.bias.view(shape) if self.affine else normalized).to(samples.dtype)

    def _remember(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        if self.running_mean is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = (
            self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)
        )
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


def synchronize(
    network: nn.Module,
    frozen: Sequence[nn.Module],
    context: DistributedContext,
    device: torch.device,
) -> None:
    """Put such modules in the place of the network's learning BatchNorm, same parameters, buffers and names; frozen ones stay."""
    if context.size == 1:
        return
    still = set(frozen)
    for name, module in list(network.named_modules()):
        if isinstance(module, _BatchNorm) and module not in still:
            parent = network.get_submodule(name.rpartition(".")[0])
            shared = (
                nn.SyncBatchNorm.convert_sync_batchnorm(module, context.data)
                if device.type == "cuda"
                else _shared(module, context)
            )
            setattr(parent, name.rpartition(".")[2], shared)


def _shared(module: _BatchNorm, context: DistributedContext) -> SharedBatchNorm:
    shared = SharedBatchNorm(
        module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats
    )
    shared.weight, shared.bias = module.weight, module.bias
    shared.running_mean, shared.running_var, shared.num_batches_tracked = (
        module.running_mean,
        module.running_var,
        module.num_batches_tracked,
    )
    shared.training, shared.group = module.training, context.data
    return shared
