"""The server that clients reach: slipway-serve's own, around models that are in workers of MMS."""

import dataclasses
import socket
import threading
from pathlib import Path

import uvicorn
from flask import Flask

from artifact.machine import memory_limit
from serve.answering import ServingLimits
from serve.app import create_app
from serve.factory import make_app, page_of, show_live
from serve.metrics import Metrics
from serve.mms.backend import Mms
from serve.mms.configuration import MODEL_NAME, body_bytes
from serve.mms.remote import RemoteModels, RemotePredictor
from serve.mms.room import Room
from serve.multi_model import create_multi_model_app
from serve.settings import ServingSettings
from serve.worker import BACKLOG, KEEP_ALIVE_S, UVICORN_SETTINGS, Server


@dataclasses.dataclass
class RemoteApps:
    """The Flask apps of make_app. folder: of MMS's sockets."""

    folder: Path

    def __call__(self, settings: ServingSettings, limits: ServingLimits, metrics: Metrics) -> Flask:
        """The app for one model or for many."""
        mms = Mms(self.folder)
        bodies = Room(body_bytes(memory_limit()))
        if settings.multi_model:
            models = RemoteModels(
                mms, bodies, settings.evict, settings.archive_bounds, settings.hooks
            )
            threading.Thread(target=models.watch, name="watch", daemon=True).start()
            show_live(metrics, models.waiting, lambda: len(models.listed()))
            return create_multi_model_app(models, limits, metrics, settings.models)
        predictor = RemotePredictor(
            settings.model, mms, MODEL_NAME, settings.workers, bodies, hooks=settings.hooks
        )
        batcher = predictor.batcher
        show_live(metrics, lambda: batcher.waiting, lambda: int(batcher.fault() is None))
        return create_app(predictor, limits, metrics, page_of(settings))


def listen(settings: ServingSettings) -> socket.socket:
    """The socket that clients connect to. Raises OSError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)


def make_server(settings: ServingSettings, folder: Path) -> Server:
    """The server; `serve` runs it until `should_exit`. Raises ArtifactError."""
    # this one process reads the bodies for all workers
    whole = dataclasses.replace(settings, body_budget=settings.body_budget * settings.workers)
    config = uvicorn.Config(
        make_app(whole, RemoteApps(folder)),
        **UVICORN_SETTINGS,
        log_config=None,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.stop_timeout_s - 1,
    )
    return Server(config)
