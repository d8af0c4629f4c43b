"""The console in this process, behind its real guard and on a real port; jobs are shell scripts."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from werkzeug.serving import make_server

from artifact.host.host_rule import HostRule
from local_sagemaker.access.access import Access
from local_sagemaker.access.guard import Guard
from local_sagemaker.console.app import Front, create_console
from local_sagemaker.platform import Platform
from local_sagemaker.server import create_app


@dataclass
class Console:
    """A platform, the keys to it, and its WSGI app as `python -m local_sagemaker` serves it."""

    platform: Platform
    keys: Access
    app: Guard

    def link(self) -> str:
        """The path of a new link."""
        return self.keys.console.new_link()


def console_of(platform: Platform) -> Console:
    keys = Access()
    front = Front(create_console(platform, keys.console), create_app(platform, keys))
    return Console(platform, keys, Guard(front, HostRule.of("127.0.0.1", [], "--allow-host")))


@contextmanager
def served(console: Console) -> Iterator[str]:
    """Its URL."""
    server = make_server("127.0.0.1", 0, console.app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
