"""How a process that a launcher started meets the others of its job.

The launcher may be ours, torchrun or sagemaker-training's torch_distributed. It names the process by RANK, WORLD_SIZE
and so on, and keeps the store on which all meet.
"""

import json
import logging
import os
from datetime import timedelta
from pathlib import Path

from train.distributed.board import Board, Watch
from train.job import Job, JobError
from train.stop import Stop

RENDEZVOUS_S = 900.0  # until all processes must have come, and the longest that one may keep others waiting in a step

log = logging.getLogger(__name__)


def hosts(job: Job) -> tuple[list[str], str, str]:
    """The job's hosts, sorted, this one's name, and the network interface to the others ("" where nothing is said of it).

    Of a heterogeneous cluster the hosts of all groups. JobError when the file does not hold that.
    """
    path = job.root / "input" / "config" / "resourceconfig.json"
    if not path.is_file():
        return ["algo-1"], "algo-1", ""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        named = {
            *content.get("hosts", ()),
            *(
                host
                for group in content.get("instance_groups") or ()
                for host in group.get("hosts", ())
            ),
        }
        current = content.get("current_host") or min(named)
        interface = content.get("network_interface_name") or ""
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise JobError(f"'{path}' does not name the job's hosts ({error})") from error
    if current not in named:
        raise JobError(
            f"'{path}' names the hosts {', '.join(sorted(named)) or 'none'}, but current_host is '{current}'"
        )
    return sorted(named), current, interface


def join(job: Job, stop: Stop):
    """Meet the others, and hear of them from then on: the DistributedContext of this process. JobError when they do not come."""
    import torch
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    from train.distributed.context import DistributedContext
    from train.model.device import pick_device

    names, host, interface = hosts(job)
    local_rank, local_size = (
        int(os.environ.get(name, default))
        for name, default in (("LOCAL_RANK", "0"), ("LOCAL_WORLD_SIZE", "1"))
    )
    several_hosts = local_size < int(os.environ["WORLD_SIZE"])
    _name_interface(interface if several_hosts else "lo", several_hosts)
    patience = timedelta(seconds=RENDEZVOUS_S)
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        store, rank, size = next(rendezvous("env://", timeout=patience))
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=patience)
        board = Board.at(address, port, RENDEZVOUS_S)
    except (RuntimeError, ValueError) as error:
        raise JobError(
            f"the {os.environ['WORLD_SIZE']} processes of the job did not meet at {address}:{port} ({str(error).splitlines()[0][:300]})"
        ) from error
    watch = Watch(board, job, stop, host, names[0])
    watch.start()
    own_gpu = torch.tensor(int(local_size <= torch.cuda.device_count()))
    dist.all_reduce(own_gpu, dist.ReduceOp.MIN)
    data = dist.group.WORLD
    if own_gpu:
        torch.cuda.set_device(pick_device(local_rank))
        data = dist.new_group(backend="nccl", timeout=patience)
    if rank == 0:
        log.info(
            "processes: %d on %d hosts, gradients over %s",
            size,
            len(names) if several_hosts else 1,
            "nccl" if own_gpu else "gloo",
        )
    return DistributedContext(rank, size, local_rank, local_size, dist.group.WORLD, data, watch)


def _name_interface(interface: str, several_hosts: bool) -> None:
    """Tell gloo and NCCL the way to the others, where SageMaker names one and nobody else did."""
    if not interface or not Path("/sys/class/net", interface).exists():
        return
    os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
    if several_hosts:
        os.environ.setdefault("NCCL_SOCKET_IFNAME", interface)
