"""SharedBatchNorm in a group of one process is torch's own BatchNorm."""

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from timm.layers.norm_act import BatchNormAct2d
from torch import nn
from torch._C._distributed_c10d import HashStore

from train.distributed.context import ALONE, DistributedContext
from train.job import JobError
from train.model.normalization import SharedBatchNorm, synchronize

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def group() -> Iterator[None]:
    """A process group of this process alone."""
    # A store in memory: no port is taken.
    dist.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def pair(settings: dict) -> tuple[nn.BatchNorm2d, SharedBatchNorm]:
    torch.manual_seed(0)
    torchs = nn.BatchNorm2d(3, **settings)
    shared = SharedBatchNorm(3, **settings)
    if torchs.affine:
        # Values other than 1 and 0, which would hide mistakes.
        nn.init.normal_(torchs.weight)
        nn.init.normal_(torchs.bias)
    shared.load_state_dict(torchs.state_dict())
    return torchs, shared


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"momentum": 0.3, "eps": 0.1},
        {"momentum": None},
        {"affine": False},
        {"track_running_stats": False},
    ],
)
def test_answers_gradients_and_statistics_are_torchs(settings):
    torchs, shared = pair(settings)
    for step in range(3):
        # Means and spreads that change with the steps.
        samples = torch.randn(4, 3, 2, 5) * (step + 1) + 7 * step
        ours = samples.clone().requires_grad_()
        theirs = samples.clone().requires_grad_()
        # Without weights the gradients of a sum through the norm would be zero.
        weights = torch.randn(4, 3, 2, 5)
        found = shared(ours)
        expected = torchs(theirs)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        (found * weights).sum().backward()
        (expected * weights).sum().backward()
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5)
    for name, value in torchs.state_dict().items():
        torch.testing.assert_close(shared.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    torchs.eval()
    shared.eval()
    torch.testing.assert_close(shared(samples), torchs(samples), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5), (4, 3, 2, 2, 2)])
def test_samples_of_any_dimension(shape):
    samples = torch.randn(shape)
    found = SharedBatchNorm(3)(samples)
    others = [axis for axis in range(len(shape)) if axis != 1]
    torch.testing.assert_close(found.mean(others), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.var(others, unbiased=False), torch.ones(3), atol=1e-3, rtol=0)


def test_half_precision_is_summed_in_float32():
    # 65,536 values of 300: bfloat16 would lose most of such a sum.
    samples = torch.full((64, 3, 32, 32), 300.0, dtype=torch.bfloat16)
    found = SharedBatchNorm(3)(samples)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, torch.zeros_like(found))


def test_one_value_is_too_few_and_two_are_enough():
    norm = SharedBatchNorm(3)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
        norm(torch.zeros(1, 3, 1, 1))
    norm(torch.zeros(2, 3, 1, 1))
    norm(torch.zeros(1, 3, 2, 1))
    with pytest.raises(ValueError, match="of at least two dimensions, found 1"):
        norm(torch.zeros(3))


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.BatchNorm2d(4)))


def test_trainable_normalisations_are_replaced_and_keep_their_values():
    module = network()
    trained = module.get_submodule("2.0")
    assert isinstance(trained, nn.BatchNorm2d)
    trained.momentum = 0.7
    trained.eps = 0.5
    # The same memory, not just equal values.
    values = {name: value.data_ptr() for name, value in module.state_dict().items()}
    frozen = module[1]
    synchronize(module, [frozen], DistributedContext(size=2), CPU)
    # A frozen one keeps its statistics.
    assert module[1] is frozen
    replaced = module.get_submodule("2.0")
    assert isinstance(replaced, SharedBatchNorm)
    assert (replaced.momentum, replaced.eps, replaced.training) == (0.7, 0.5, True)
    assert {name: value.data_ptr() for name, value in module.state_dict().items()} == values


def test_on_gpus_they_become_torchs_own_and_keep_their_values():
    """SyncBatchNorm itself refuses processors; the conversion does not ask for one."""
    module = network()
    trained = module.get_submodule("2.0")
    assert isinstance(trained, nn.BatchNorm2d)
    trained.momentum = 0.7
    trained.eps = 0.5
    values = {name: value.data_ptr() for name, value in module.state_dict().items()}
    frozen = module[1]
    synchronize(module, [frozen], DistributedContext(size=2), torch.device("cuda"))
    assert module[1] is frozen
    replaced = module.get_submodule("2.0")
    assert isinstance(replaced, nn.SyncBatchNorm)
    assert (replaced.momentum, replaced.eps, replaced.training) == (0.7, 0.5, True)
    assert {name: value.data_ptr() for name, value in module.state_dict().items()} == values
    with pytest.raises(ValueError, match="expected input tensor to be on"):
        module(torch.zeros(2, 3, 2, 2))


def test_one_process_needs_no_replacement():
    module = network()
    synchronize(module, [], ALONE, CPU)
    assert type(module[1]) is nn.BatchNorm2d


def test_a_norm_of_timms_keeps_its_activation():
    """Without it a network of timm's answered otherwise in several processes."""
    norm = BatchNormAct2d(3)
    network = nn.Sequential(norm)
    two = DistributedContext(0, 2, data=dist.group.WORLD)
    samples = torch.randn(4, 3, 5, 5)
    expected = norm.train()(samples)
    names = list(network.state_dict())
    synchronize(network, [], two, CPU)
    assert list(network.state_dict()) == names
    norm.reset_running_stats()
    torch.testing.assert_close(network.train()(samples), expected)
    assert (network.eval()(samples) >= 0).all()


def test_a_norm_that_is_not_known_is_refused():
    class Odd(nn.BatchNorm2d):
        pass

    with pytest.raises(JobError, match="normalises by Odd, which several processes cannot share"):
        synchronize(nn.Sequential(Odd(3)), [], DistributedContext(0, 2), CPU)
