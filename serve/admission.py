"""Who is let in: a request whose answer would come in time.

Of the photos that wait for decoding, the one that costs least comes first: a request that takes
seconds to decode cannot keep the others waiting, however often it is sent. A photo that waits is
bytes alone.
"""

import heapq
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from serve.request_state import Overloaded, RequestState, TooManyPhotos

LARGE_PIXELS = 4_000_000  # larger photos are decoded one at a time, for their memory
LONG_S = 0.1  # and so are those that take longer, for the cores
DECODING_WEIGHT = 0.1  # weight of the newest photo in the running averages


class Cost(Protocol):
    """What is known of decoding before it begins; artifact/photos/formats.py has a photo's."""

    @property
    def pixels(self) -> int: ...

    @property
    def seconds(self) -> float: ...


@dataclass(frozen=True)
class DecodingTime:
    """Seconds until a request's first photo is decoded from now on, and to decode all of them."""

    wait_s: float = 0.0
    own_s: float = 0.0


@dataclass(order=True)
class _Entry:
    """A photo that waits or is decoded: what it costs, and when it came. ready: it has its slot."""

    seconds: float
    number: int
    ready: threading.Event = field(default_factory=threading.Event, compare=False)


class Lane:
    """Some slots, and who waits for them, as a heap."""

    def __init__(self, slots: int):
        self.slots = slots
        self.running: list[_Entry] = []
        self.waiting: list[_Entry] = []

    def fill(self) -> None:
        """Give free slots to those that cost least."""
        while self.waiting and len(self.running) < self.slots:
            entry = heapq.heappop(self.waiting)
            self.running.append(entry)
            entry.ready.set()

    def ahead_s(self, seconds: float) -> float:
        """Of work before a photo that costs that much."""
        if len(self.running) < self.slots:
            return 0.0
        begun = sum(entry.seconds for entry in self.running) / 2
        before = sum(entry.seconds for entry in self.waiting if entry.seconds <= seconds)
        return (begun + before) / self.slots


class DecodingQueue:
    """Slots for photos: as many as cores for small ones, and one for large or long ones."""

    def __init__(self, slots: int):
        self._changed = threading.Lock()  # guards all below
        self._numbers = itertools.count()
        self._small = Lane(slots)
        self._large = Lane(1)
        self._needed_s = 0.0  # running averages: of the time that photos took,
        self._planned_s = 0.0  # and of what their headers let expect

    def expected(self, headers: Sequence[Cost]) -> DecodingTime:
        """For a request of these photos, if it came now."""
        with self._changed:
            pace = self._pace()
            waits = [self._lane(header).ahead_s(header.seconds) for header in headers]
        planned_s = sum(header.seconds for header in headers)
        return DecodingTime(max(waits, default=0.0) * pace, planned_s * pace)

    @contextmanager
    def slot(self, header: Cost, state: RequestState, learns: bool = True) -> Iterator[None]:
        """Hold a slot for a photo. Raises Overloaded at the request's deadline, ClientGone.

        learns: the time is that of decoding; otherwise the caller learns by itself.
        """
        lane = self._lane(header)
        entry = self._enter(lane, header)
        try:
            if not entry.ready.wait(state.left_s()):
                raise state.late()
            state.check()
            started = time.monotonic()
            try:
                yield
            finally:
                if learns:
                    self.learn(header.seconds, time.monotonic() - started)
        finally:
            self._leave(lane, entry)

    def learn(self, planned_s: float, needed_s: float) -> None:
        """A photo took so long, of which so much was expected."""
        with self._changed:
            weight = DECODING_WEIGHT if self._planned_s else 1.0
            self._needed_s += weight * (needed_s - self._needed_s)
            self._planned_s += weight * (planned_s - self._planned_s)

    def _lane(self, header: Cost) -> Lane:
        if header.pixels > LARGE_PIXELS or header.seconds > LONG_S:
            return self._large
        return self._small

    def _pace(self) -> float:
        """How much longer decoding takes here than its headers let expect."""
        return self._needed_s / self._planned_s if self._planned_s else 1.0

    def _enter(self, lane: Lane, header: Cost) -> _Entry:
        with self._changed:
            entry = _Entry(header.seconds, next(self._numbers))
            heapq.heappush(lane.waiting, entry)
            lane.fill()
            return entry

    def _leave(self, lane: Lane, entry: _Entry) -> None:
        with self._changed:
            if entry.ready.is_set():
                lane.running.remove(entry)
            else:
                lane.waiting.remove(entry)
                heapq.heapify(lane.waiting)
            lane.fill()


NO_DECODING = DecodingTime()
PHOTO_WEIGHT = 0.2  # weight of the newest measurement in a running average


class Admission:
    """Counts the photos that a model has promised to answer, and learns how long one takes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards the numbers below
        self._waiting = 0  # photos admitted and not yet answered
        self._photo_s = 0.0  # running average of the seconds per photo

    @property
    def waiting(self) -> int:
        """Photos admitted and not yet answered."""
        return self._waiting

    def admit(self, photos: int, state: RequestState, decoding: DecodingTime = NO_DECODING) -> None:
        """Promise to answer that many more photos; the caller gives each of them to `settle`.

        decoding: what comes before the model's part. Raises Overloaded when their answers would
        come after the request's deadline, TooManyPhotos when they would even without any others,
        and what `_check` raises.
        """
        with self._changed:
            self._check()
            left_s = state.left_s()
            needed_s = photos * self._photo_s + decoding.own_s
            if photos > 1 and needed_s > state.whole_s:
                most = max(1, int(state.whole_s / needed_s * photos / 2))
                raise TooManyPhotos(
                    f"{photos} photos take about {needed_s:.0f} s, and {state.whole_s:.0f} s are "
                    f"left; send at most {most} at once"
                )
            queue_s = self._waiting * self._photo_s + decoding.wait_s
            # an idle server takes any photo: else one slow run would be the last
            is_idle = not self._waiting and not decoding.wait_s
            if queue_s + needed_s > left_s and not (is_idle and photos == 1):
                raise Overloaded(queue_s / 2)
            self._waiting += photos

    def settle(self, photos: int) -> None:
        """That many of the promised photos are answered, or no longer wanted."""
        with self._changed:
            self._waiting -= photos

    def _check(self) -> None:
        """Raise when the model answers nothing at all."""

    def _learn_photos(self, photos: int, seconds: float) -> None:
        """Adapt the average to that many photos, which took so long together."""
        weight = PHOTO_WEIGHT if self._photo_s else 1.0
        self._photo_s += weight * (seconds / photos - self._photo_s)


ANSWER_WEIGHT = 0.05  # of the newest answer in the running average
EVIDENCE = 20  # answers


class Pace:
    """Counts requests from their start to their end. Used by one thread, the event loop's."""

    def __init__(self) -> None:
        self.under_way = 0
        self._answers = 0  # up to EVIDENCE
        self._between_s = 0.0  # two answers, running average
        self._last = 0.0  # answer, or the start of the first request since all were answered

    def begin(self) -> None:
        """A request is worked on, or waits for that."""
        if not self.under_way:
            self._last = time.monotonic()
        self.under_way += 1

    def end(self) -> None:
        """A request is answered."""
        self.under_way -= 1
        now = time.monotonic()
        between_s = now - self._last
        self._last = now
        self._answers = min(self._answers + 1, EVIDENCE)
        weight = max(ANSWER_WEIGHT, 1 / self._answers)
        self._between_s += weight * (between_s - self._between_s)

    def wait_s(self) -> float:
        """Seconds until one more request would have its answer, after those under way.

        0 until EVIDENCE answers have been given: the first ones of a burst come late.
        """
        if self._answers < EVIDENCE:
            return 0.0
        return (self.under_way + 1) * self._between_s
