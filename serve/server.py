"""gunicorn around the app: one worker process, in which threads share one engine.

The engine is opened in the worker, for its threads would not live through the fork. The worker accepts no
connection before the model is loaded and warm; until then callers wait in the socket's queue.
"""

import logging
import os
import sys
import tempfile

from gunicorn.app.base import BaseApplication

from artifact.model import ArtifactError
from serve.settings import Settings

MODEL_UNUSABLE = 3  # gunicorn ends the whole server when a worker leaves with this code while starting

log = logging.getLogger(__name__)


class Server(BaseApplication):
    """gunicorn, set by our settings alone: no command line, no configuration file."""

    def __init__(self, settings: Settings):
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        settings = self._settings
        values = {
            "bind": f"{settings.host}:{settings.port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": settings.threads,
            "graceful_timeout": settings.stop_timeout_s,
            "timeout": 60,
            "keepalive": 75,  # SageMaker's client keeps idle connections up to 70 s
            "worker_tmp_dir": _memory_folder(),
            "control_socket_disable": True,
            "loglevel": "warning",
            "proc_name": "serve",
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self):
        """Called in the worker: the app around a warm model."""
        from serve.app import create_app
        from serve.predictor import Predictor

        settings = self._settings
        try:
            predictor = Predictor(settings.model, settings.precision)
        except ArtifactError as error:
            print(f"serve: failed: {error}", file=sys.stderr, flush=True)
            os._exit(MODEL_UNUSABLE)
        log.info("serving %s with %d classes on port %d", predictor.description.architecture, len(predictor.description.classes), settings.port)
        return create_app(predictor, settings.max_payload_mb)


def _memory_folder() -> str:
    """Where the worker's heartbeat file can be: in memory if possible, for a slow disk must not look like a dead worker."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()
