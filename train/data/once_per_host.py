"""What one process of a host does for all of them, such as listing a million photos."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import torch.distributed as dist

from train.data.shared_values import read_shared, write_shared
from train.distributed.context import DistributedContext
from train.failure import reason
from train.job import JobError

Made = TypeVar("Made")

log = logging.getLogger(__name__)


def once_per_host(context: DistributedContext, make: Callable[[], Made]) -> Made:
    """The value that `make` returns in the first process of this host, in its memory once.

    A failure there is a JobError in the host's other processes. Where no disk takes the value, each
    process makes its own.
    """
    if context.local_size == 1 or context.size == 1:
        return make()
    leads = context.local_rank == 0
    failed: Exception | None = None
    value: Made | None = None
    said: tuple[str, str] = ("", "")  # the file, and why there is none
    if leads:
        try:
            value = make()
            said = (_written(value), "")
        except Exception as error:  # raised below, once the others know
            failed = error
            said = ("", reason(error) or f"unexpected {type(error).__name__}: {error}")
    path, failure = _of_this_host(context, said)
    if failed:
        raise failed
    if failure:
        raise JobError(failure)
    if path:
        try:
            value = cast(Made, read_shared(Path(path)))
        finally:
            context.any_process(False)  # all have opened it
            if leads:
                Path(path).unlink(missing_ok=True)
        return value
    context.any_process(False)
    return make() if value is None else value


def exchange_among_hosts(context: DistributedContext) -> Callable[[Made], list[Made]]:
    """A function by which the first process of each host gets what all of them give.

    All processes must call this, and the first of each host what it returns.
    """
    firsts = [context.hosts.index(host) for host in sorted(set(context.hosts))]
    group = dist.new_group(firsts, backend="gloo")

    def exchange(own: Made) -> list[Made]:
        every: list[Made] = [own] * len(firsts)
        dist.all_gather_object(every, own, group=group)
        return every

    return exchange


def _written(value: object) -> str:
    """The file that has the value now; "" where none takes it."""
    try:
        return str(write_shared(value))
    except OSError as error:
        log.warning("each process lists the photos itself: %s", error.strerror or error)
        return ""


def _of_this_host(context: DistributedContext, said: tuple[str, str]) -> tuple[str, str]:
    """What the first process of this host says."""
    every: list[tuple[str, str]] = [("", "")] * context.size
    dist.all_gather_object(every, said, group=context.control)
    return every[context.rank - context.local_rank]
