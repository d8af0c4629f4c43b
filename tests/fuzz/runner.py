"""Cases in a process of their own, whose memory and time are watched from outside.

A case that takes too much is ended before it hurts this machine; so is one that hangs. A crash of a
decoder is a finding like any other. Linux only.
"""

import multiprocessing
import os
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.fuzz.mutations import case
from tests.fuzz.watch import BYTES_PER_PIXEL, MAX_PIXELS, MOST_S, SLACK_MB, Cost, measured

# Above this a case is ended: it is a finding already, whatever its pixels need.
ENDED_MB = SLACK_MB + 2 * BYTES_PER_PIXEL * MAX_PIXELS / 2**20
ENDED_S = 5 * MOST_S
LOOK_S = 0.02
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20
TICKS = os.sysconf("SC_CLK_TCK")


def costs(seed: int, first: int, last: int, only: str = "") -> Iterator[Cost]:
    """The costs of the cases first <= number < last, in order."""
    while first < last:
        done = 0
        for cost in _in_one_process(seed, first, last, only):
            done += 1
            yield cost
        first += done


def _in_one_process(seed: int, first: int, last: int, only: str) -> Iterator[Cost]:
    """Costs until a case ends the process; that case's cost is the last."""
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    worker = context.Process(target=_work, args=(seed, first, last, only, sending), daemon=True)
    worker.start()
    sending.close()
    number = first
    assert worker.pid is not None
    usage = Usage(worker.pid)
    try:
        while number < last:
            news = _wait(receiving, usage) or _received(receiving, worker)
            if news is None:
                usage.begin()
                continue
            if isinstance(news, Cost):
                usage.end()
                number += 1
                yield news
                continue
            seconds, memory = usage.since()
            name, data = case(seed, number, only)
            yield Cost(number, name, len(data), news, 0, memory, seconds)
            return
    finally:
        worker.kill()
        worker.join()
        receiving.close()


def _wait(receiving: Connection, usage: "Usage") -> str:
    """Wait for the next cost. Why the process must be ended; empty when a cost or its end came."""
    while not receiving.poll(LOOK_S):
        seconds, memory = usage.since()
        if memory > ENDED_MB:
            return f"more than {ENDED_MB:.0f} MB"
        if seconds > ENDED_S:
            return f"more than {ENDED_S:.0f} s"
    return ""


def _received(receiving: Connection, worker: BaseProcess) -> Cost | str | None:
    """A cost; None when a case begins to be decoded; how the process ended where it did."""
    try:
        news: Cost | None = receiving.recv()
    except EOFError:
        worker.join()
        return f"the end of the process ({worker.exitcode})"
    return news


def _work(seed: int, first: int, last: int, only: str, sending: Connection) -> None:
    # Decoders print their complaints about each photo.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for number in range(first, last):
        name, data = case(seed, number, only)
        sending.send(None)  # the case is made, which takes memory, too; now it is decoded
        sending.send(measured(number, name, data))


class Usage:
    """Memory and processor time of a process since the present case began to be decoded."""

    def __init__(self, pid: int):
        self._folder = Path(f"/proc/{pid}")
        self._is_measured = False
        self._begun_s = self._begun_mb = 0.0

    def begin(self) -> None:
        self._is_measured = True
        self._begun_s, self._begun_mb = self._now()

    def end(self) -> None:
        self._is_measured = False

    def since(self) -> tuple[float, float]:
        """Seconds of the processor, MB; 0 while no case is decoded."""
        if not self._is_measured:
            return 0.0, 0.0
        seconds, memory = self._now()
        return seconds - self._begun_s, memory - self._begun_mb

    def _now(self) -> tuple[float, float]:
        try:
            pages = int((self._folder / "statm").read_text().split()[1])
            # The second field, a name in brackets, may hold spaces.
            fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            return self._begun_s, self._begun_mb
        return (int(fields[11]) + int(fields[12])) / TICKS, pages * PAGE_MB
