"""What a model promises to answer: a photo is let in only when its answer would come in time."""

import threading

from serve.decoding import DecodingTime
from serve.request_state import Overloaded, RequestState, TooManyPhotos

NO_DECODING = DecodingTime()
SMOOTHING = 0.2  # weight of the newest measurement in a running average


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
        weight = SMOOTHING if self._photo_s else 1.0
        self._photo_s += weight * (seconds / photos - self._photo_s)
