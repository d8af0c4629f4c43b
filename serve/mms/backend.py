"""multi-model-server behind its two Unix sockets, which nobody but the gateway can reach.

It gets names, folders and bytes of our own making only; nothing that a client wrote but photos.
"""

import json
import socket
import threading
import time
import urllib.parse
from pathlib import Path

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError

from serve.batching import EngineDead
from serve.mms.configuration import HANDLER, INFERENCE_SOCKET, MANAGEMENT_SOCKET
from serve.mms.exchange import NO_MEMORY

CONNECT_S = 5.0
QUICK_S = 5.0  # for an answer without work behind it
LOAD_S = 300.0  # for a model to be opened; MMS itself ends a worker that takes long
UNLOAD_S = 30.0
FRESH_S = 0.2  # for which an answer about the health is used again
CONNECTIONS = 32  # that are kept open
NOT_FOUND = 404
OK = 200


class ModelLost(EngineDead):
    """MMS does not have the model any more."""


class _Pool(HTTPConnectionPool):
    """urllib3's pool of connections, to a Unix socket."""

    def __init__(self, path: Path):
        super().__init__("localhost", maxsize=CONNECTIONS, block=False, retries=False)

        class Connection(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                found = socket.socket(socket.AF_UNIX)
                try:
                    found.settimeout(CONNECT_S)
                    found.connect(str(path))
                    return found
                except OSError:
                    found.close()
                    raise

        self.ConnectionCls = Connection


class Mms:
    """What is asked of MMS. folder: of its sockets. handler: the module that its workers load."""

    def __init__(self, folder: Path, handler: str = HANDLER):
        self._handler = handler
        self._inference = _Pool(folder / INFERENCE_SOCKET)
        self._management = _Pool(folder / MANAGEMENT_SOCKET)
        self._lock = threading.Lock()  # guards the two below
        self._asked_at = float("-inf")
        self._fault: str | None = None

    def predict(self, name: str, body: bytes, timeout_s: float) -> bytes:
        """A worker's answer. Raises ModelLost, MemoryError, and EngineDead when none came."""
        headers = {"Content-Type": "application/octet-stream"}
        path = f"/predictions/{name}"
        status, answer = _asked(self._inference, "POST", path, timeout_s, body, headers)
        if status == OK:
            return answer
        if status == NOT_FOUND:
            raise ModelLost("the model's processes have died; load it again")
        if status == NO_MEMORY:
            raise MemoryError
        raise EngineDead(f"the model's worker gave no answer ({_message(answer)})")

    def load(self, name: str, folder: Path, workers: int) -> str | None:
        """Start a model's workers, and wait until they hold it; None, or what MMS says if not.

        Raises MemoryError when the memory was not enough, EngineDead.
        """
        wanted = {
            "model_name": name,
            "url": str(folder),
            "handler": self._handler,
            "initial_workers": str(workers),
            "synchronous": "true",
        }
        path = "/models?" + urllib.parse.urlencode(wanted)
        status, answer = _asked(self._management, "POST", path, LOAD_S)
        if status == NO_MEMORY:
            raise MemoryError
        return None if status == OK else _message(answer)

    def unload(self, name: str) -> None:
        """End a model's workers; a model that is not there is no error. Raises EngineDead."""
        _asked(self._management, "DELETE", f"/models/{name}", UNLOAD_S)

    def has(self, name: str) -> bool:
        """Whether a model is there, loaded or not. Raises EngineDead."""
        status, _ = _asked(self._management, "GET", f"/models/{name}", QUICK_S)
        return status != NOT_FOUND

    def fault(self) -> str | None:
        """Why not all workers of all models hold theirs; None when they do."""
        with self._lock:
            if time.monotonic() - self._asked_at > FRESH_S:
                self._fault = self._ping()
                self._asked_at = time.monotonic()
            return self._fault

    def _ping(self) -> str | None:
        try:
            status, answer = _asked(self._inference, "GET", "/ping", QUICK_S)
        except EngineDead as error:
            return str(error)
        return None if status == OK else _message(answer)


def _asked(
    pool: HTTPConnectionPool,
    method: str,
    path: str,
    timeout_s: float,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> tuple[int, bytes]:
    """Status and body of the answer. Raises EngineDead when none comes in time."""
    timeout = urllib3.Timeout(connect=CONNECT_S, read=timeout_s)
    try:
        answer = pool.urlopen(method, path, body, headers or {}, timeout=timeout)
    except (HTTPError, OSError) as error:
        raise EngineDead(f"multi-model-server does not answer ({type(error).__name__})") from error
    return answer.status, answer.data


def _message(answer: bytes) -> str:
    """The sentence in an answer of MMS, or of our /ping."""
    try:
        document = json.loads(answer)
        return str(document.get("error") or document.get("message"))[:200]
    except (ValueError, AttributeError):
        return "no reason given"
