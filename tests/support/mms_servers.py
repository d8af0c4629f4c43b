"""Servers of slipway-serve-mms over the stand-in for MMS, and what a test sees of them."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.servers import Server, serving

PATIENCE_S = 60.0


@dataclass
class MmsServer:
    """A running server. orders: the folder of orders to the stand-in."""

    server: Server
    orders: Path

    def asked(self) -> list[str]:
        """What MMS was asked, without the questions for its health."""
        lines = (self.orders / "asked").read_text().splitlines()
        # The server asks for MMS's health by itself, as often as it likes.
        return [line for line in lines if line != "GET /ping"]

    def temporary(self) -> list[str]:
        """Names of the folders of models, MMS's own and unpacked ones."""
        found = self.orders.glob("tmp/slipway-*/mms-*/*model-*")
        return sorted(path.name for path in found)

    def waiting(self) -> int:
        """Photos that the server has accepted, and not yet answered."""
        text = self.server.ask("GET", "/metrics")[2].decode()
        lines = [line for line in text.splitlines() if line.startswith("slipway_queue_photos ")]
        return int(float(lines[0].split()[1]))

    def log(self) -> list[dict[str, Any]]:
        """The lines of requests in the log."""
        lines = (self.orders / "log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def load(self, name: str, url: Path) -> tuple[int, Any]:
        body = json.dumps({"model_name": name, "url": str(url)}).encode()
        return self.server.invoke(body, "application/json", "/models")

    def unload(self, name: str) -> int:
        return self.server.ask("DELETE", f"/models/{name}")[0]


@contextmanager
def mms_serving(
    orders: Path, model: Path | None = None, **environment: object
) -> Iterator[MmsServer]:
    """A ready server; for many models when no folder of one is given.

    `tmp` in the folder of orders leads to the server's temporary files. They lie elsewhere: a
    socket's path has 107 bytes at most, and a test's folder may have more.
    """
    short = Path(tempfile.mkdtemp(prefix="mms-test-", dir="/tmp"))
    orders.mkdir(parents=True, exist_ok=True)
    (orders / "tmp").unlink(missing_ok=True)
    (orders / "tmp").symlink_to(short)
    variables = {
        "TMPDIR": short,
        "SLIPWAY_PRECISION": "f32",
        "SAGEMAKER_MULTI_MODEL": str(model is None).lower(),
        **environment,
    }
    program = ("tests.support.mms_stand_in", str(orders))
    with serving(model, program, orders / "log", **variables) as server:
        yield MmsServer(server, orders)
    # What the server left behind stays, for the test to find.
    with suppress(OSError):
        short.rmdir()


def wait_until(what: Callable[[], object]) -> None:
    """Return once a function is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.01)
