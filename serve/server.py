"""gunicorn around the app: in each worker process an event loop and threads share one engine.

The engine is opened in the worker, because its threads would not survive the fork. The worker
accepts no connection before the model is loaded and warm; until then callers wait in the socket's
queue.
"""

import os
import sys
import tempfile

from gunicorn.app.base import BaseApplication

from artifact.model import ArtifactError
from serve.asgi_gateway import AsgiGateway
from serve.gpu_shares import GpuShares
from serve.settings import ServingSettings
from serve.worker import BACKLOG, KEEP_ALIVE_S

# gunicorn ends the whole server when a worker leaves with this code while starting.
MODEL_UNUSABLE = 3


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn, set by our settings alone: no command line, no configuration file."""

    def __init__(self, settings: ServingSettings):
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        settings = self._settings
        values: dict[str, object] = {
            "bind": f"{settings.host}:{settings.port}",
            "workers": settings.workers,
            "worker_class": "serve.gunicorn_worker.Worker",
            "graceful_timeout": settings.stop_timeout_s,
            # no heartbeat: a container that was frozen for a while is not dead (serverless)
            "timeout": 0,
            "keepalive": KEEP_ALIVE_S,
            "backlog": BACKLOG,
            "worker_tmp_dir": _memory_folder(),
            "control_socket_disable": True,
            "loglevel": "warning",
            "proc_name": "serve",
        }
        if len(settings.gpus) > 1:
            shares = GpuShares(settings.gpus)
            values |= {"pre_fork": shares.before_fork, "post_fork": shares.after_fork}
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> AsgiGateway:
        """Called in the worker: the app around a warm model."""
        from serve.factory import make_app

        try:
            return make_app(self._settings)
        except ArtifactError as error:
            print(f"serve: failed: {error}", file=sys.stderr, flush=True)
            os._exit(MODEL_UNUSABLE)


def _memory_folder() -> str:
    """A folder for the worker's heartbeat file, in memory if possible.

    A slow disk must not make a worker look dead.
    """
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()
