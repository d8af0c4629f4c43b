"""The requests in front of a model's workers in MMS: one for each worker at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from serve.admission import Admission, Cost, DecodingQueue, Lane
from serve.mms.backend import Mms
from serve.mms.exchange import Done
from serve.predictor import Checked, SharedLimits, checked_photo


@dataclass(frozen=True)
class RequestCost:
    """What decoding all photos of a request takes, as their headers say."""

    seconds: float
    pixels: int = 0


class WorkerSlots(DecodingQueue):
    """A slot per worker, which does one request at a time; the cheapest request comes first."""

    def _lane(self, header: Cost) -> Lane:
        return self._small


# Pixels that a model needs of a side; its worker knows better, and checks again.
USUAL_SIDE = 256


class RemoteQueue(Admission):
    """The requests in front of a model's workers."""

    def __init__(self, mms: Mms, workers: int):
        super().__init__()
        self._mms = mms
        self._workers = workers
        self._max_pixels = SharedLimits(workers).max_pixels
        self.slots = WorkerSlots(workers)

    def fault(self) -> str | None:
        """Why the model does not answer; None while it does."""
        return self._mms.fault()

    def checked(self, photos: Sequence[bytes | Exception]) -> list[Checked]:
        """The photos with their headers, or their errors."""
        return [checked_photo(photo, self._max_pixels, USUAL_SIDE) for photo in photos]

    def learn(self, photos: int, cost: RequestCost, done: Done) -> None:
        """A worker took so long for that many photos, and others worked meanwhile."""
        decode_s = done.stages.get("decode", 0.0)
        self.slots.learn(cost.seconds, decode_s)
        with self._changed:
            self._learn_photos(photos, (done.seconds - decode_s) / self._workers)
