"""The state of one request on its way through the server: its deadline, its client, its times."""

import threading
import time
from dataclasses import dataclass, field

MOST_SPANS = 100  # of one request: a body may hold thousands of photos
KEY = "slipway.request_state"  # in the WSGI environment


class Overloaded(RuntimeError):
    """The answer would come too late. retry_after_s: seconds until the client should ask again.

    sentence: where other requests are not the reason.
    """

    def __init__(self, retry_after_s: float, sentence: str = ""):
        self.retry_after_s = max(1, round(retry_after_s))
        super().__init__(sentence or f"the server is busy; ask again in {self.retry_after_s} s")


class TooManyPhotos(RuntimeError):
    """More photos than one answer can hold, however long the client waits.

    The text says what to send instead.
    """


class ClientGone(RuntimeError):
    """The client has gone; nobody waits for the answer."""


@dataclass(eq=False)
class RequestState:
    """deadline and started: on time.monotonic's clock, in seconds.

    abandoned: set once nobody waits for the answer. stages: seconds by stage (read, decode, queue,
    engine), summed over the request's photos. photos: how many it holds. spans: each stage with its
    start and its end, for a trace; None where nobody wants them.
    whole_s: seconds from its start to its first deadline, which the server's end may bring forward.
    """

    deadline: float
    started: float = field(default_factory=time.monotonic)
    abandoned: threading.Event = field(default_factory=threading.Event)
    stages: dict[str, float] = field(default_factory=dict)
    photos: int = 0
    spans: list[tuple[str, float, float]] | None = None
    whole_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.whole_s = self.deadline - self.started

    @classmethod
    def lasting(cls, seconds: float) -> "RequestState":
        """A state whose deadline is that many seconds from now."""
        return cls(time.monotonic() + seconds)

    def add(self, stage: str, seconds: float) -> None:
        """Add time to a stage that ends now."""
        self.stages[stage] = self.stages.get(stage, 0.0) + seconds
        if self.spans is not None and len(self.spans) < MOST_SPANS:
            now = time.monotonic()
            self.spans.append((stage, now - seconds, now))

    def left_s(self) -> float:
        """Seconds until the deadline, 0 when it has passed."""
        return max(0.0, self.deadline - time.monotonic())

    def check(self) -> None:
        """Raise ClientGone or Overloaded when more work on this request is of no use."""
        if self.abandoned.is_set():
            raise ClientGone
        if time.monotonic() >= self.deadline:
            raise self.late()

    def late(self) -> Overloaded:
        """The error of a request whose deadline has passed."""
        if self.deadline < self.started + self.whole_s:
            return Overloaded(1, "the server is being stopped; ask again in 1 s")
        return Overloaded(
            1,
            f"no answer within {self.whole_s:g} s, the time limit of a request; "
            "send fewer photos at once, or ask again in 1 s",
        )
