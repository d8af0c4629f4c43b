"""gunicorn around the app: worker processes, one by default, in which an event loop and threads share one engine.

The engine is opened in the worker, for its threads would not live through the fork. The worker accepts no
connection before the model is loaded and warm; until then callers wait in the socket's queue.
"""

import logging
import os
import sys
import tempfile

from gunicorn.app.base import BaseApplication

from artifact.model import ArtifactError
from serve.settings import ServingSettings

MODEL_UNUSABLE = (
    3  # gunicorn ends the whole server when a worker leaves with this code while starting
)

log = logging.getLogger(__name__)


class Server(BaseApplication):
    """gunicorn, set by our settings alone: no command line, no configuration file."""

    def __init__(self, settings: ServingSettings):
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        settings = self._settings
        values = {
            "bind": f"{settings.host}:{settings.port}",
            "workers": settings.workers,
            "worker_class": "serve.worker.Worker",
            "graceful_timeout": settings.stop_timeout_s,
            "timeout": 0,  # no heartbeat: a container that was frozen for a while (serverless endpoints are) is not dead
            "keepalive": 75,  # SageMaker's client keeps idle connections up to 70 s
            "backlog": 1024,
            "worker_tmp_dir": _memory_folder(),
            "control_socket_disable": True,
            "loglevel": "warning",
            "proc_name": "serve",
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self):
        """Called in the worker: the app around a warm model."""
        from serve.factory import make_app

        try:
            return make_app(self._settings)
        except ArtifactError as error:
            print(f"serve: failed: {error}", file=sys.stderr, flush=True)
            os._exit(MODEL_UNUSABLE)


def _memory_folder() -> str:
    """Where the worker's heartbeat file can be: in memory if possible, for a slow disk must not look like a dead worker."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()
