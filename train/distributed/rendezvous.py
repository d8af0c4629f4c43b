"""How a process that a launcher started meets the others, hears of a stop or a failure elsewhere, and leaves with them.

The launcher, whichever it was (ours, torchrun, sagemaker-training's torch_distributed), tells by RANK, WORLD_SIZE and so on
and keeps a store, on which the processes leave word: beside what they reckon together, so that it reaches who waits.
"""

import json
import logging
import os
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

from train.gc_pause import gc_paused
from train.job import Job, JobError
from train.stop import Stop

RENDEZVOUS_S = 900.0  # until all processes must have come, and the longest that one may keep others waiting in a step
POLL_S = 1.0  # between two looks at the board
GRACE_S = 10.0  # from a failure elsewhere until a process that hangs because of it is ended
WORD_S = 10.0  # that the reason of a broken connection is waited for
FAILED_ELSEWHERE = 1

log = logging.getLogger(__name__)


class PeerError(JobError):
    """Why this process cannot go on, though the fault is another's."""


class Board:
    """Word that processes and launchers leave for each other, by name, on the store that the job's launcher keeps."""

    def __init__(self, store):
        from torch.distributed import PrefixStore

        self.store = PrefixStore("slipway", store)

    @classmethod
    def at(cls, address: str, port: int, timeout_s: float, serve: bool = False) -> "Board":
        """The board at an address; with `serve` it is kept by this process. RuntimeError when it does not answer."""
        from torch.distributed import TCPStore

        return cls(
            TCPStore(
                address,
                port,
                None,
                serve,
                timedelta(seconds=timeout_s),
                wait_for_workers=False,
                multi_tenant=serve,
            )
        )

    def tell(self, name: str, text: str = "yes") -> None:
        """Leave word unless there is some already: the first reason is the cause of the later ones. RuntimeError when it is gone."""
        self.store.compare_set(name, "", text)

    def word(self, name: str) -> str | None:
        return self.store.get(name).decode() if self.store.check([name]) else None


class Watch(threading.Thread):
    """Looks at the board for as long as the process runs: passes stops on both ways, and ends a process that a failure left hanging."""

    def __init__(self, board: Board, job: Job, stop: Stop, host: str, first_host: str):
        super().__init__(name="watch", daemon=True)
        self.board, self.job, self.stop, self.host, self.first_host = (
            board,
            job,
            stop,
            host,
            first_host,
        )
        self.done, self.failure = False, None
        self.keeping = False  # the artifact of the best epoch is being written: that may take longer than the grace
        self._leaving = threading.Event()

    def run(self) -> None:
        told = False
        while not self._leaving.wait(POLL_S) and not self.failure:
            try:
                if self.stop() and not told:
                    self.board.tell("stop")
                    told = True
                if not told and self.board.word("stop"):
                    self.stop.request()
                    told = True
                self.done = self.done or bool(self.board.word("done"))
                self.failure = self.board.word("failure")
            except RuntimeError:
                self.failure = (
                    self.failure
                    or f"{self.first_host} is gone: the process there that holds the job together answers no more"
                )
        if self.failure and not self.done and not self._leaving.wait(GRACE_S) and not self.keeping:
            leave_failed(self.job, self.failure)

    def wait_for_first(self) -> None:
        while not self.done:
            if self.failure:
                raise PeerError(self.failure)
            time.sleep(0.1)

    def tell_failure(self, sentence: str) -> None:
        """Let the others know, and give them the time to look before the launcher ends with this process."""
        self.leave()
        try:
            self.board.tell("failure", f"{self.host} failed: {sentence}")
        except RuntimeError:
            return
        time.sleep(2 * POLL_S)

    def others_failure(self) -> str:
        """The reason of a broken connection, once there is word of it."""
        # a stop here may be the launcher's, which then waits for this process before it tells what it knows
        deadline = time.monotonic() + (WORD_S if not self.stop() else 2 * POLL_S)
        while not self.failure and time.monotonic() < deadline:
            time.sleep(0.1)
        self.leave()
        return (
            self.failure
            or "the connection to another process of the job broke, and no word of the reason came; the logs of the other hosts may tell"
        )

    def leave(self) -> None:
        self._leaving.set()


def is_worker() -> bool:
    """Whether a launcher started this process as one of several."""
    return {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys() and int(
        os.environ["WORLD_SIZE"]
    ) > 1


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
    """Meet the others, and hear of them from then on: the World of this process. JobError when they do not come."""
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


def finished(world) -> None:
    """Let the others know that the job is done, once nothing of it can fail any more."""
    if world.watch is None:
        return
    if world.first:
        world.watch.board.tell("done")
        time.sleep(
            2 * POLL_S
        )  # where no launcher of its own keeps the board, it goes with this process
    world.watch.leave()


def leave_failed(job: Job, sentence: str) -> None:
    """End this process at once, wherever it hangs, with the reason told."""
    from train.failure import report_failure

    report_failure(job, PeerError(sentence), first_hand=False)
    os._exit(FAILED_ELSEWHERE)


def work(job: Job, stop: Stop) -> int:
    """A worker's whole life, beside the others; the exit code. It leaves no thread that could keep it."""
    from train.failure import SUCCEEDED, reason, report_failure

    world = None
    try:
        if int(os.environ.get("LOCAL_RANK", "0")):
            logging.getLogger().setLevel(logging.WARNING)  # one process a host tells how it goes
        else:
            job.forget_failure()
        from recipes.hyperparameters import parse

        hyperparameters = parse(job.hyperparameters())
        with gc_paused():
            from train.run import run

        world = join(job, stop)
        run(job, hyperparameters, stop, world)
        finished(world)
        code = SUCCEEDED
    except Exception as error:  # as in train/__main__.py: whatever it is
        if world and _is_broken_connection(error):
            error = PeerError(world.watch.others_failure())
        theirs = isinstance(error, PeerError)
        code = report_failure(job, error, first_hand=not theirs)
        if world and not theirs:
            world.watch.tell_failure(reason(error) or f"unexpected {type(error).__name__}: {error}")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _is_broken_connection(error: Exception) -> bool:
    """Whether a step that all take together broke, which is mostly another's fault."""
    from torch.distributed import DistError

    from train.failure import reason

    return (
        isinstance(error, DistError)
        or isinstance(error, RuntimeError)
        and reason(error) is None
        and any(
            words in str(error)
            for words in (
                "gloo",
                "NCCL",
                "Connection closed by peer",
                "Connection reset by peer",
                "Broken pipe",
            )
        )
    )
