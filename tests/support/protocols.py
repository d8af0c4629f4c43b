"""A connection's protocol in this process, without a socket."""

from types import SimpleNamespace
from typing import Any

from serve.connection import Protocol
from serve.http_rules import ServerConnection
from serve.turns import Cost


class Timer:
    def __init__(self, seconds: float, call: Any):
        self.seconds = seconds
        self.call = call
        self.cancelled = 0

    def cancel(self) -> None:
        self.cancelled += 1


class Connection:
    """A protocol without a socket: its timers, what it wrote, and whether it was closed."""

    def __init__(self) -> None:
        self.timers: list[Timer] = []
        self.written = b""
        self.closed = 0
        self.asked: list[Protocol] = []
        protocol: Any = object.__new__(Protocol)
        protocol.loop = SimpleNamespace(call_later=self._later)
        protocol.transport = SimpleNamespace(
            close=self._close,
            abort=self._close,
            write=self._write,
            write_eof=lambda: None,
            resume_reading=lambda: None,
        )
        protocol.flow = SimpleNamespace(pause_writing=list, resume_writing=list)
        protocol.conn = ServerConnection()
        protocol.conn.pause_at = float("inf")
        protocol._turns = SimpleNamespace(ask=lambda parser: self.asked.append(parser))
        protocol._cost = Cost()
        self.protocol = protocol

    def _later(self, seconds: float, call: Any) -> Timer:
        self.timers.append(Timer(seconds, call))
        return self.timers[-1]

    def _close(self) -> None:
        self.closed += 1

    def _write(self, data: bytes) -> None:
        self.written += data
