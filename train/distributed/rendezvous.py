"""How a process that a launcher started meets the others of its job.

The launcher may be ours, torchrun or sagemaker-training's torch_distributed. It names the process
by RANK, WORLD_SIZE and so on, and keeps the store at which all meet.
"""

import json
import logging
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from train.distributed.board import PATIENCE_S, Board, Watch
from train.job import Job, JobError
from train.stop import Stop

if TYPE_CHECKING:
    # Loading them takes seconds, and a host's launcher needs only `hosts`.
    from torch._C._distributed_c10d import Store
    from torch.distributed import ProcessGroup

    from train.distributed.context import DistributedContext

RENDEZVOUS_S = 900.0  # until all processes must have come
PATIENCE = timedelta(seconds=PATIENCE_S)

log = logging.getLogger(__name__)


def hosts(job: Job) -> tuple[list[str], str, str]:
    """The job's hosts, sorted, this one's name, and the network interface to the others.

    The hosts are those of all groups of a heterogeneous cluster. The interface is "" where the
    file does not name one. JobError for a damaged resourceconfig.json.
    """
    path = job.root / "input" / "config" / "resourceconfig.json"
    if not path.is_file():
        return ["algo-1"], "algo-1", ""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        named = set(content.get("hosts", ()))
        for group in content.get("instance_groups") or ():
            named |= set(group.get("hosts", ()))
        current = content.get("current_host") or min(named)
        interface = content.get("network_interface_name") or ""
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise JobError(f"'{path}' does not name the job's hosts ({error})") from error
    if current not in named:
        found = ", ".join(sorted(named)) or "none"
        raise JobError(f"'{path}' names the hosts {found}, but current_host is '{current}'")
    return sorted(named), current, interface


def join(job: Job, stop: Stop) -> "DistributedContext":
    """Meet the others and watch the board from then on. JobError when they do not come."""
    import torch.distributed as dist

    from train.distributed.context import DistributedContext

    names, host, interface = hosts(job)
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    local_size = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    several_hosts = local_size < int(os.environ["WORLD_SIZE"])
    host_count = len(names)
    if not several_hosts:
        host_count = 1
        interface = "lo"
    _name_interface(interface, several_hosts)
    address = os.environ["MASTER_ADDR"]
    port = int(os.environ["MASTER_PORT"])
    try:
        store, rank, size = _connect()
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=PATIENCE)
        board = Board(address, port, RENDEZVOUS_S)
        if rank == 0:
            board.post("joined")
    except (RuntimeError, ValueError) as error:
        raise JobError(
            f"the {os.environ['WORLD_SIZE']} processes of the job did not meet at "
            f"{address}:{port} ({str(error).splitlines()[0][:300]})"
        ) from error
    watch = Watch(board, job, stop, host, names[0])
    watch.start()
    data, backend = _device_group(local_rank, local_size)
    if rank == 0:
        log.info("processes: %d on %d hosts, gradients over %s", size, host_count, backend)
    control = dist.group.WORLD
    numbers = _host_numbers(rank, size, local_rank)
    return DistributedContext(rank, size, local_rank, local_size, control, data, watch, numbers)


def _host_numbers(rank: int, size: int, local_rank: int) -> tuple[int, ...]:
    """The number of each process's host."""
    import torch
    import torch.distributed as dist

    firsts = torch.zeros(size, dtype=torch.int64)  # the rank of the first process of its host
    firsts[rank] = rank - local_rank
    dist.all_reduce(firsts)
    found = firsts.tolist()
    order = sorted(set(found))
    return tuple(order.index(first) for first in found)


def _connect() -> tuple["Store", int, int]:
    """The launcher's store, and this process's rank and the number of processes."""
    from torch.distributed.rendezvous import rendezvous

    store, rank, size = next(rendezvous("env://", timeout=PATIENCE))
    return store, rank, size


def _device_group(local_rank: int, local_size: int) -> tuple["ProcessGroup | None", str]:
    """The group for tensors on the devices: over NCCL where every process has a GPU of its own."""
    import torch
    import torch.distributed as dist

    from train.device import pick_device

    own_gpu = torch.tensor(int(local_size <= torch.cuda.device_count()))
    dist.all_reduce(own_gpu, dist.ReduceOp.MIN)
    if not own_gpu:
        return dist.group.WORLD, "gloo"
    torch.cuda.set_device(pick_device(local_rank))
    group = dist.new_group(backend="nccl", timeout=PATIENCE)
    assert not isinstance(group, int)  # torch's answer to a process that is not in the group
    return group, "nccl"


def _name_interface(interface: str, several_hosts: bool) -> None:
    """Name the network interface for gloo and NCCL, where the user has not."""
    if not interface or not Path("/sys/class/net", interface).exists():
        return
    os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
    if several_hosts:
        os.environ.setdefault("NCCL_SOCKET_IFNAME", interface)
