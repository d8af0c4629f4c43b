"""gunicorn's worker process: our uvicorn server around the app."""

import asyncio
import signal
import sys
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn_worker import UvicornWorker

from serve.worker import UVICORN_SETTINGS, Server


class Worker(UvicornWorker):  # type: ignore[misc]  # uvicorn-worker ships no types
    """A process that answers requests."""

    CONFIG_KWARGS = UVICORN_SETTINGS

    def __init__(self, *args: Any, **kwargs: Any):  # Any: gunicorn's own, passed on as they are
        super().__init__(*args, **kwargs)
        # a second less than gunicorn's, which kills
        self.config.timeout_graceful_shutdown = self.cfg.graceful_timeout - 1

    async def _serve(self) -> None:
        """uvicorn-worker's own method, with our Server."""
        self.config.app = self.wsgi
        server = Server(config=self.config)
        # gunicorn sends SIGQUIT after Ctrl-C. uvicorn-worker's handler would not end the server.
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGQUIT, server.handle_exit, signal.SIGTERM, None)
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
