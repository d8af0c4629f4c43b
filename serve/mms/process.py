"""The process of multi-model-server: started, watched, ended."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable

END_S = 3.0  # for MMS to end; nothing is under way by then
TERMINATED = 128 + signal.SIGTERM  # Java's exit code after SIGTERM


class Process:
    """A running command, away from the terminal's signals. ended: called when it has left."""

    def __init__(self, arguments: list[str], ended: Callable[[], None]):
        self._ended = ended
        self.code: int | None = None
        self._process = subprocess.Popen(arguments, start_new_session=True)
        self._thread = threading.Thread(target=self._wait, name="mms", daemon=True)
        self._thread.start()

    def end(self) -> int:
        """End it, by force if need be; its exit code."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            # not by Popen: another thread waits for the process
            if self.code is None:
                os.kill(self._process.pid, number)
            self._thread.join(END_S)
        return TERMINATED if self.code is None else self.code

    def _wait(self) -> None:
        code = wait(self._process.pid)
        self._process.returncode = code  # the process is gone: nothing must signal its id again
        self.code = code
        self._ended()


def wait(pid: int) -> int:
    """The exit code of a child, or 128 + the number of the signal that killed it.

    Meanwhile it reaps orphans, which a worker leaves to PID 1.
    """
    while True:
        ended, status = os.wait()
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
