"""The first moments of a program, while its modules load, before it can catch anything itself.

Ctrl-C then ends it by one line and 130, where Python shows a traceback of an import. A command
imports this module before all others. A wait for a library that loads slowly is said in a line.
"""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import Timer

INTERRUPTED = 130  # as shells have it: 128 and SIGINT
SILENT_S = 2.0  # of loading, before it is said
PACKAGES = (
    "conformance", "diagnose", "launch", "local_sagemaker", "local_test", "prepare", "reference",
    "serve", "slipway", "train", "tune",
)  # fmt: skip
# Of their modules these are commands; others are started by our own programs.
MODULES = ("serve.mms", "tune.show", "recipes.schema")
WITH_COMMANDS = ("local_test", "slipway")
_state = {"program": ""}
_said: set[str] = set()


def begin() -> None:
    """Take Ctrl-C where one of our commands starts by `python -m`; elsewhere nothing changes."""
    program = command_of(sys.orig_argv)
    # a shell that starts a program in the background lets it ignore Ctrl-C
    if not program or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return
    _state["program"] = program
    signal.signal(signal.SIGINT, _end)
    sys.excepthook = _say_last


def begun() -> None:
    """Ctrl-C is KeyboardInterrupt from here on, which the program catches."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Loading:
    """Say that something loads, such as torch, where it takes more than a moment.

    It is said once, though a program may load it in parts.
    """

    def __init__(self, program: str, what: str) -> None:
        import threading  # not above: until this module is there, Ctrl-C is a traceback

        self._line = f"{program}: loading {what}"
        self._timer = threading.Timer(SILENT_S, self._say)
        self._timer.daemon = True

    def __enter__(self) -> "Timer":
        self._timer.start()
        return self._timer

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()

    def _say(self) -> None:
        if self._line not in _said:
            _said.add(self._line)
            print(self._line, file=sys.stderr, flush=True)


def command_of(words: Sequence[str]) -> str:
    """The command of ours that a command line starts, such as `train`; "" for another program."""
    if "-m" not in words[:-1] or "-c" in words[: words.index("-m")]:
        return ""
    module = words[words.index("-m") + 1]
    package = module.partition(".")[0]
    if module in PACKAGES or module in MODULES or package in WITH_COMMANDS:
        return module.removeprefix("local_test.")
    return ""


def _end(number: int, frame: FrameType | None) -> None:
    # not print, and no clean-up: the interrupted import may hold any lock, and nothing is made yet
    os.write(2, f"{_state['program']}: interrupted\n".encode())
    os._exit(INTERRUPTED)


def _say_last(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The line of a KeyboardInterrupt that nothing has caught; a traceback for all others."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    print(f"{_state['program']}: interrupted", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(INTERRUPTED)


begin()
