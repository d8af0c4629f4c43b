"""Processes of train and tune without the seconds that loading torch takes.

Only for tests that need a process. `WarmPopen` is subprocess.Popen, but for a start in
tests.support.warm_server, of which each test process has one.
"""

import atexit
import functools
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tests.support.warm_server import MESSAGE, module_of


@functools.cache
def _control() -> socket.socket:
    """The socket to this process's server, which ends with it."""
    from tests.support.jobs import REPOSITORY

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm_server", str(theirs.fileno())],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
        start_new_session=True,  # Ctrl-C is for the tests
    )
    theirs.close()

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours


# Any: as subprocess.run's own, texts or bytes by the options.
class WarmPopen(subprocess.Popen[Any]):
    """A command [sys.executable, "-m", program, …]; options as of subprocess.Popen.

    Programs that the warm server does not know start as usual.
    """

    _answer: socket.socket | None = None  # gets the exit code

    def _execute_child(
        self,
        args: list[Any],
        executable: str | None,
        preexec_fn: object,
        close_fds: bool,
        pass_fds: tuple[int, ...],
        cwd: Any,
        env: Mapping[str, str] | None,
        *rest: Any,
    ) -> None:
        if module_of(args) is None:
            super()._execute_child(  # type: ignore[misc]  # the stubs leave it out
                args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *rest
            )
            return
        assert preexec_fn is None, "a function cannot be sent to tests.support.warm_server"
        (_, _, _, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, *others) = rest
        words = [str(word) for word in args]
        asked = {
            "args": words,
            "cwd": str(cwd or os.getcwd()),
            "env": dict(os.environ if env is None else env),
            "start_new_session": others[-2],
        }
        message = json.dumps(asked).encode()
        assert len(message) < MESSAGE
        self._answer, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with open(os.devnull, "rb") as nothing:
            # -1: the caller leaves the stream as it is.
            streams = (
                p2cread if p2cread >= 0 else nothing.fileno(),
                c2pwrite if c2pwrite >= 0 else 1,
                errwrite if errwrite >= 0 else 2,
            )
            self._send(message, [*streams, theirs.fileno()])
        # Our side sees the server's end only when nobody else holds this end.
        theirs.close()
        self.pid = int(self._answer.recv(64))
        self._child_created = True
        self._close_pipe_fds(  # type: ignore[attr-defined]  # the stubs leave it out
            p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite
        )

    @staticmethod
    def _send(message: bytes, descriptors: list[int]) -> None:
        """Ask the server; a new one where a test has ended it together with what it started."""
        try:
            # Descriptors travel beside the message, not in it.
            socket.send_fds(_control(), [message], descriptors)
        except BrokenPipeError:
            _control().close()
            _control.cache_clear()
            socket.send_fds(_control(), [message], descriptors)

    def _internal_poll(self, *arguments: Any, **options: Any) -> int | None:
        if self._answer is None:
            code: int | None = super()._internal_poll(  # type: ignore[misc]  # as above
                *arguments, **options
            )
            return code
        if self.returncode is None and self._ended_within(self._answer, 0):
            self._take_code(self._answer)
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        if self._answer is None:
            code: int = super()._wait(timeout)  # type: ignore[misc]  # as above
            return code
        if self.returncode is None:
            if not self._ended_within(self._answer, timeout):
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self._take_code(self._answer)
        return self.returncode

    @staticmethod
    def _ended_within(answer: socket.socket, timeout_s: float | None) -> bool:
        return bool(select.select([answer], [], [], timeout_s)[0])

    def _take_code(self, answer: socket.socket) -> None:
        with answer:
            text = answer.recv(64)
        assert text, "tests.support.warm_server has ended"
        self.returncode = int(text)


def run(
    words: list[Any], timeout_s: float = 120, **options: Any
) -> subprocess.CompletedProcess[str]:
    """A command run to its end, with what it printed."""
    pipe = subprocess.PIPE
    with WarmPopen(words, text=True, stdout=pipe, stderr=pipe, **options) as process:
        try:
            out, err = process.communicate(timeout=timeout_s)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(words, process.returncode, out, err)
