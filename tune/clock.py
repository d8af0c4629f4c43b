"""The seconds that a tuning job ran, those of earlier runs included, kept in its study."""

import socket
import time

import optuna

NOTE_S = 10.0  # from one note of the time spent to the next
SPENT = "slipway_spent/"  # and a host's name: user attribute of a study


def spent_s(study: optuna.Study) -> float:
    """The seconds that the host with the most of them has noted."""
    attributes = study.user_attrs
    return max([float(attributes[name]) for name in attributes if name.startswith(SPENT)] + [0.0])


def note_spent(study: optuna.Study, seconds: float) -> None:
    """Keep seconds that an earlier study of the search had noted."""
    study.set_user_attr(_own_name(), seconds)


def _own_name() -> str:
    return f"{SPENT}{socket.gethostname()}"


class Clock:
    """Counts on this host; the host with the most seconds decides."""

    def __init__(self, study: optuna.Study) -> None:
        self.study = study
        self.name = _own_name()
        self.before = float(study.user_attrs.get(self.name, 0.0))
        self.started = time.monotonic()
        self.noted = self.started

    def elapsed(self, counts: bool) -> float:
        """Seconds on the host that ran longest; 0 without a limit of time, where none are kept."""
        if not counts:
            return 0.0
        if time.monotonic() - self.noted > NOTE_S:
            self.note()
        return max(self._own(), spent_s(self.study))

    def note(self) -> None:
        """Keep the seconds spent so far."""
        self.noted = time.monotonic()
        self.study.set_user_attr(self.name, self._own())

    def _own(self) -> float:
        return self.before + time.monotonic() - self.started
