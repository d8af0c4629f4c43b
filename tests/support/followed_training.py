"""python -m tests.support.followed_training ROOT EPOCHS LR: a training that rules follow.

Its steps are slow, as a real one's. SIGTERM ends it with the exit code STOPPED.
"""

import signal
import sys
import time
from pathlib import Path

from tests.support.watched_training import small_network, watch

STOPPED = 7
STEP_S = 0.05


def main() -> None:
    """Train until all epochs are done or SIGTERM comes."""
    stopped: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))

    def after(step: int) -> None:
        time.sleep(STEP_S)
        if stopped:
            raise SystemExit(STOPPED)

    root, epochs, lr = sys.argv[1:]
    watch(Path(root), small_network(), epochs=int(epochs), lr=float(lr), after_step=after)


if __name__ == "__main__":
    main()
