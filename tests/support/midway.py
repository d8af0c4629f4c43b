"""A fault in the middle of a training."""

from collections.abc import Callable

from train.job import Job
from train.stop import Stop


class Midway(Stop):
    """Never asks to stop; calls `act` once, when this many epochs are done."""

    def __init__(self, job: Job, epochs: int, act: Callable[[], object]) -> None:
        super().__init__()
        # It has a line for each epoch.
        self._history = job.output_data / "history.csv"
        self._epochs = epochs
        self._act: Callable[[], object] | None = act

    def __call__(self) -> bool:
        act = self._act
        if act and self._epochs_done() >= self._epochs:
            # Before the call: `act` may come back here.
            self._act = None
            act()
        return False

    def _epochs_done(self) -> int:
        if not self._history.exists():
            return 0
        return len(self._history.read_text().splitlines()) - 1  # without the head
