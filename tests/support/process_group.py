"""python -m tests.support.process_group RANK PORT RESULTS: one of two processes of a group.

They compare what they compute together with what one computes alone.
"""

import copy
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from artifact.networks.network import build
from train.distributed.context import DistributedContext
from train.failure import reason
from train.model.normalization import synchronize


def compare_with_one_process(rank: int, port: int, results: str) -> None:
    """Write what this process found to a JSON file named by its rank, in the folder `results`."""
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    context = DistributedContext(rank, 2, rank, 2, dist.group.WORLD, dist.group.WORLD)
    found = _exchanges(context) | _agreed_stop(context) | _step_with_batch_norm(context)
    found |= {"unused": _unused_parameter(context)}
    (Path(results) / str(rank)).write_text(json.dumps(found))


def _exchanges(context: DistributedContext) -> dict[str, object]:
    # The last batch is too small to be shared: one process gets nothing of it.
    batches = [np.array(batch) for batch in ([0, 1, 2], [3, 4, 5], [6])]
    dealt = context.deal(batches)
    own = np.concatenate(dealt[context.rank])
    rows = torch.arange(7.0)[torch.from_numpy(own)]
    # Only the first process has rows to give.
    rows_of_first = torch.ones(int(context.rank == 0), 3)
    saved = context.broadcast_from_main(lambda: {"epoch": 3, "best": torch.ones(2), "none": None})
    return {
        "gathered": context.gather(rows, dealt).tolist(),
        "gathered_without_own": context.gather(rows_of_first, [[np.array([0])], []]).tolist(),
        "sum": context.sum_across(torch.tensor([1.0, context.rank])).tolist(),
        "any_process": [context.any_process(False), context.any_process(context.rank == 1)],
        "broadcast_epoch": saved["epoch"],
    }


def _agreed_stop(context: DistributedContext) -> dict[str, object]:
    """Only the second process wants to stop, after 0.3 s; both do at the same step."""
    started = time.monotonic()
    stop = context.agreed_stop(lambda: context.rank == 1 and time.monotonic() > started + 0.3)
    steps = 0
    while not stop():
        steps += 1
        time.sleep(0.001)
    return {"steps": steps, "stopped_after_s": time.monotonic() - started}


def _step_with_batch_norm(context: DistributedContext) -> dict[str, object]:
    # In float64, so that what differs is the exchange and not the rounding.
    torch.manual_seed(0)
    alone = build("resnet18", 3, (), 32).double()
    together = copy.deepcopy(alone)
    synchronize(together, [], context, torch.device("cpu"))
    samples = torch.randn(5, 3, 64, 64, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0, 1])
    own = slice(context.rank, None, 2)
    averaging = context.data_parallel(together)  # it must live until the gradients are there
    # the gradients of both processes are averaged: twice the sum of each makes their sum
    (_loss(averaging, samples[own], labels[own]) * 2).backward()
    _loss(alone, samples, labels).backward()
    gradients = [
        (ours.grad, theirs.grad)
        for ours, theirs in zip(together.parameters(), alone.parameters(), strict=True)
    ]
    states = zip(together.state_dict().values(), alone.state_dict().values(), strict=True)
    logits = [(together.eval()(samples), alone.eval()(samples))]
    return {
        "same_names": list(together.state_dict()) == list(alone.state_dict()),
        "gradient_difference": _largest_difference(gradients),
        "state_difference": _largest_difference(states),
        "logit_difference": _largest_difference(logits),
    }


def _unused_parameter(context: DistributedContext) -> str | None:
    """What a user reads of a network of which a part takes no part in the answer."""
    network = nn.Linear(2, 2)
    network.register_parameter("unused", nn.Parameter(torch.ones(1)))
    averaging = context.data_parallel(network)
    try:
        for _ in range(2):
            averaging(torch.ones(1, 2)).sum().backward()
    except RuntimeError as error:
        return reason(error)
    return "no error"


def _loss(module: nn.Module, samples: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The sum over these photos, as their part of the mean over all five."""
    return nn.functional.cross_entropy(module(samples), labels, reduction="sum") / 5


def _largest_difference(pairs) -> float:
    return max((ours - theirs).abs().max().item() for ours, theirs in pairs)


if __name__ == "__main__":
    rank, port, results = sys.argv[1:]
    compare_with_one_process(int(rank), int(port), results)
