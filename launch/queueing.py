"""One host of an endpoint under load, simulated: how long photos wait for its cores.

As in slipway-serve, each photo is decoded on a core, as many photos at once as there are cores.
Then the engine runs the photos one after the other, each on all cores. What is busy at the same
time shares the cores.
"""

import collections
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

# The part of a run that more cores do not shorten: Amdahl's law. Assumed, not measured.
SERIAL_SHARE = 0.05
REQUESTS = 6000  # of a simulation: the slowest percent of them is 60
# Bursts: in one second of five, three times the mean rate, and half of it in the other four.
PERIOD_S = 5.0
BURST_S = 1.0
BURST_FACTOR = 3.0
QUIET_FACTOR = 0.5
PERIODS = 4  # at least, of a simulation with bursts
SEED = 0

Arrivals = Callable[[float], list[float]]  # from requests per second to moments, in s


@dataclass(frozen=True)
class Work:
    """Milliseconds of one core that a photo takes. other: HTTP and all else of the server."""

    decode_ms: float
    engine_ms: float
    other_ms: float

    @property
    def core_s(self) -> float:
        """Seconds of one core, in all."""
        return (self.decode_ms + self.engine_ms + self.other_ms) / 1000

    def alone_s(self, cores: int) -> float:
        """Seconds until a photo is answered that has a host for itself."""
        return (self.decode_ms + self.other_ms + self.engine_ms / speed_up(cores)) / 1000


def speed_up(cores: int) -> float:
    """How many times faster the engine is on these cores than on one."""
    return 1 / (SERIAL_SHARE + (1 - SERIAL_SHARE) / cores)


def poisson(rate: float) -> list[float]:
    """Moments of requests that know nothing of each other. rate: per second."""
    return _arrivals(rate, REQUESTS, lambda now: 1.0)


def bursts(rate: float) -> list[float]:
    """The same in bursts; the mean rate is kept."""
    count = max(REQUESTS, math.ceil(rate * PERIODS * PERIOD_S))
    return _arrivals(rate, count, _burst_factor)


def _burst_factor(now: float) -> float:
    if now % PERIOD_S < BURST_S:
        return BURST_FACTOR
    return QUIET_FACTOR


def _arrivals(rate: float, count: int, factor: Callable[[float], float]) -> list[float]:
    """Arrivals at a rate that changes, by thinning (Lewis and Shedler, 1979)."""
    draw = random.Random(SEED)
    highest = rate * max(factor(second / 10) for second in range(int(10 * PERIOD_S)))
    now = 0.0
    found: list[float] = []
    while len(found) < count:
        now += draw.expovariate(highest)
        if draw.random() * highest < rate * factor(now):
            found.append(now)
    return found


class Host:
    """The cores of one host, and the photos on them."""

    def __init__(self, work: Work, cores: int) -> None:
        self.work = work
        self.cores = cores
        self.now = 0.0
        self.latencies: list[float] = []
        self._waiting: collections.deque[float] = collections.deque()  # when they came
        self._decoding: list[tuple[float, float]] = []  # seconds of work left, when it came
        self._queue: collections.deque[float] = collections.deque()  # for the engine
        self._running: float | None = None  # when the photo came that the engine runs
        self._run_left = 0.0  # seconds of work

    def arrive(self, moment: float) -> None:
        """A photo comes; all that ends before is done first."""
        self._work_until(moment)
        self._waiting.append(moment)
        self._begin()

    def finish(self) -> None:
        """Answer all that is there."""
        self._work_until(math.inf)

    def _work_until(self, moment: float) -> None:
        while True:
            rate, engine_rate = self._rates()
            step = min(self._times(rate, engine_rate), default=math.inf)
            if self.now + step > moment or step == math.inf:
                self._advance(min(step, moment - self.now), rate, engine_rate)
                if moment != math.inf:
                    self.now = moment
                return
            self._advance(step, rate, engine_rate)
            self._end()
            self._begin()

    def _rates(self) -> tuple[float, float]:
        """Work per second of each photo that is decoded, and of the engine."""
        threads = len(self._decoding)
        if self._running is not None:
            threads += self.cores
        share = min(1.0, self.cores / threads) if threads else 1.0
        return share, share * speed_up(self.cores)

    def _times(self, rate: float, engine_rate: float) -> Iterator[float]:
        """Seconds until each thing that is under way ends."""
        for left, _ in self._decoding:
            yield left / rate
        if self._running is not None:
            yield self._run_left / engine_rate

    def _advance(self, seconds: float, rate: float, engine_rate: float) -> None:
        if seconds == math.inf:
            return
        self.now += seconds
        self._decoding = [(left - seconds * rate, came) for left, came in self._decoding]
        self._run_left -= seconds * engine_rate

    def _end(self) -> None:
        """Pass on what has just ended."""
        ended = 1e-12  # seconds of work: what rounding leaves
        if self._running is not None and self._run_left <= ended:
            self.latencies.append(self.now - self._running)
            self._running = None
        for left, came in self._decoding:
            if left <= ended:
                self._queue.append(came)
        self._decoding = [entry for entry in self._decoding if entry[0] > ended]

    def _begin(self) -> None:
        """Fill what is free."""
        while self._waiting and len(self._decoding) < self.cores:
            work_s = (self.work.decode_ms + self.work.other_ms) / 1000
            self._decoding.append((work_s, self._waiting.popleft()))
        if self._running is None and self._queue:
            self._running = self._queue.popleft()
            self._run_left = self.work.engine_ms / 1000


def simulate(work: Work, cores: int, moments: Sequence[float]) -> list[float]:
    """Seconds until each answer of a host, for photos that come at these moments."""
    host = Host(work, cores)
    for moment in moments:
        host.arrive(moment)
    host.finish()
    return host.latencies


def p99_s(work: Work, cores: int, rate: float, arrivals: Arrivals) -> float:
    """Seconds within which 99 of 100 answers of a host come. rate: requests per second."""
    latencies = sorted(simulate(work, cores, arrivals(rate)))
    return latencies[int(0.99 * len(latencies))]


def highest_rate(work: Work, cores: int, limit_s: float, arrivals: Arrivals) -> float:
    """The requests per second at which a host's p99 is just within a limit; 0 where none is."""
    if work.alone_s(cores) > limit_s:
        return 0.0
    low = 0.0
    high = cores / work.core_s  # more work than cores
    for _ in range(7):  # to a hundredth
        middle = (low + high) / 2
        if p99_s(work, cores, middle, arrivals) <= limit_s:
            low = middle
        else:
            high = middle
    return low
