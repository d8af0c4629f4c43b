"""python -m tests.support.warm_server FD: runs programs of this repository in forks of itself.

Torch and the other large libraries are loaded once, here, before anything is computed. A program
then starts in milliseconds, and is a process of its own in everything else: its pid, session,
environment, streams, signals and exit code. FD is a socket; see tests.support.warm_processes.
"""

import atexit
import contextlib
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

# Programs that load torch. Others start as usual.
PROGRAMS = {
    "train",
    "tune",
    "tune.worker",
    "diagnose",
    "tests.support.followed_training",
    "tests.support.process_group",
}
LOADED = (
    "train.run",
    "train.distributed.launcher",
    "torch.distributed.launcher.api",
    "tensorboardX",
    "onnx",
    "openvino",
)
MESSAGE = 1 << 17  # bytes of a request: mostly the environment


def module_of(words: object) -> str | None:
    """The program that a command runs with this Python; None if it starts as usual."""
    if not isinstance(words, list | tuple):
        return None
    if list(words[:2]) != [sys.executable, "-m"] or words[2] not in PROGRAMS:
        return None
    return str(words[2])


# Any: Popen is generic over its streams' texts, which does not matter here.
class ForkingPopen(subprocess.Popen[Any]):
    """subprocess.Popen, where one of PROGRAMS is a fork that needs not load anything."""

    def _execute_child(
        self,
        args: list[str],
        executable: str | None,
        preexec_fn: Callable[[], None] | None,
        close_fds: bool,
        pass_fds: tuple[int, ...],
        cwd: str | None,
        env: Mapping[str, str] | None,
        startupinfo: object,
        creationflags: int,
        shell: bool,
        p2cread: int,
        p2cwrite: int,
        c2pread: int,
        c2pwrite: int,
        errread: int,
        errwrite: int,
        restore_signals: bool,
        gid: object,
        gids: object,
        uid: object,
        umask: int,
        start_new_session: bool,
        process_group: int,
    ) -> None:
        module = module_of(args)
        if module is None:
            super()._execute_child(  # type: ignore[misc]  # the stubs leave it out
                args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo,
                creationflags, shell, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite,
                restore_signals, gid, gids, uid, umask, start_new_session, process_group,
            )  # fmt: skip
            return
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # else both processes would print what is buffered
        pid = os.fork()
        if pid == 0:
            if start_new_session:
                os.setsid()
            _take_streams(p2cread, c2pwrite, errwrite)
            if preexec_fn is not None:
                preexec_fn()
            os.chdir(cwd or ".")
            _become(module, args[3:], env)
        self.pid = pid
        self._child_created = True
        self._close_pipe_fds(  # type: ignore[attr-defined]  # the stubs leave it out
            p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite
        )


def _take_streams(stdin: int, stdout: int, stderr: int) -> None:
    """Make these file descriptors 0, 1 and 2, where they are given, and close all others."""
    for number, given in enumerate((stdin, stdout, stderr)):
        if given >= 0:
            os.dup2(given, number)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):  # the listing's own
                os.close(int(name))
    # They stay open to the end of the process.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  as above
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  as above
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115  as above


def _become(module: str, words: list[str], environment: Mapping[str, str] | None) -> NoReturn:
    """Run a module as `python -m` does, and end this process with its exit code."""
    atexit._clear()
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if environment is not None:
        os.environ.clear()
        os.environ.update(environment)
    if os.environ.get("PYTHONUNBUFFERED"):
        sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]  # ours is a file
    sys.argv = [module, *words]
    sys.modules.pop(module if "." in module else f"{module}.__main__", None)
    code: object = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as Python's own end
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads it any more
            stream.flush()
    os._exit(int(code or 0))


def serve(control: socket.socket) -> None:
    """Start what is asked for; send its pid, and its exit code when it ends."""
    running: dict[int, tuple[ForkingPopen, socket.socket]] = {}  # by the process's pidfd
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd != control.fileno():
                    process, answer = running.pop(key.fd)
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    with contextlib.suppress(OSError), answer:
                        answer.send(str(process.wait()).encode())
                    continue
                message, streams, _, _ = socket.recv_fds(control, MESSAGE, 4)
                if not message:
                    for process, _ in running.values():
                        process.kill()
                    return
                process = _start(json.loads(message), streams[:3])
                answer = socket.socket(fileno=streams[3])
                answer.send(str(process.pid).encode())
                pidfd = os.pidfd_open(process.pid)
                running[pidfd] = (process, answer)
                selector.register(pidfd, selectors.EVENT_READ)


def _start(asked: dict[str, Any], streams: list[int]) -> ForkingPopen:
    stdin, stdout, stderr = streams
    try:
        return ForkingPopen(stdin=stdin, stdout=stdout, stderr=stderr, **asked)
    finally:
        for descriptor in streams:
            os.close(descriptor)


if __name__ == "__main__":
    # torch's launcher takes the name when it is loaded
    subprocess.Popen = ForkingPopen  # type: ignore[misc]  # for forks of forks
    for name in LOADED:
        importlib.import_module(name)
    serve(socket.socket(fileno=int(sys.argv[1])))
