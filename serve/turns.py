"""Whose bytes the event loop parses next: those of the connection that has cost it least of late.

Parsing what a client sends takes far longer than receiving it where the pieces are small: 16 kB of
one-byte chunks take 40 ms. Connections that send such things wait for each other, and not the
health check for them.
"""

import asyncio
import heapq
import itertools
import time
from typing import Protocol

SLICE_S = 0.001  # of one connection's turn; one piece that takes longer is finished
ROUND_S = 0.002  # of all turns between two looks at the sockets
HALF_LIFE_S = 1.0  # of a connection's cost


class Parser(Protocol):
    """A connection with bytes to parse."""

    @property
    def cost_s(self) -> float:
        """Seconds that parsing its bytes took of late."""

    def take_turn(self) -> None:
        """Parse for about SLICE_S; ask for another turn if something is left."""


class Turns:
    """The connections of one event loop that wait for their turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._loop = loop
        self._waiting: list[tuple[float, int, Parser]] = []  # a heap
        self._numbers = itertools.count()  # among equals the first to ask is the first
        self._scheduled = False

    def ask(self, parser: Parser) -> None:
        """Let a connection take a turn when those that have cost less have had theirs."""
        heapq.heappush(self._waiting, (parser.cost_s, next(self._numbers), parser))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._round)

    def _round(self) -> None:
        until = time.perf_counter() + ROUND_S
        try:
            while self._waiting and time.perf_counter() < until:
                _, _, parser = heapq.heappop(self._waiting)
                parser.take_turn()
        finally:  # asyncio logs an error
            self._scheduled = bool(self._waiting)
            if self._scheduled:
                self._loop.call_soon(self._round)


class Cost:
    """Seconds that something took; what lies back counts less, half for each HALF_LIFE_S."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._at = time.perf_counter()

    def add(self, seconds: float) -> None:
        """Count these seconds, as of now."""
        self._seconds = self.now() + seconds
        self._at = time.perf_counter()

    def now(self) -> float:
        """What is left of all that was counted."""
        age_s = time.perf_counter() - self._at
        return float(self._seconds * 0.5 ** (age_s / HALF_LIFE_S))
