"""The server that clients reach: slipway-serve's own, around models that are in workers of MMS."""

import dataclasses
import socket
import threading
from pathlib import Path
from typing import Any

import uvicorn
from flask import Flask

from artifact.host.machine import memory_limit
from serve.answering import ServingLimits, answered
from serve.app import Answerer, create_app
from serve.factory import make_app, page_of, show_live
from serve.metrics import Metrics
from serve.mms.backend import Mms
from serve.mms.configuration import HANDLER, MODEL_NAME, USER_HANDLER, body_bytes
from serve.mms.remote import RemoteModels, RemotePredictor
from serve.mms.room import Room
from serve.mms.user_models import RemoteProgram, UserModels, call_answered, describe_calls
from serve.multi_model import create_multi_model_app
from serve.settings import ServingSettings
from serve.worker import BACKLOG, KEEP_ALIVE_S, UVICORN_SETTINGS, Server


@dataclasses.dataclass
class RemoteApps:
    """The Flask apps of make_app. folder: of MMS's sockets. user_code: a user's answers."""

    folder: Path
    user_code: bool = False

    def __call__(self, settings: ServingSettings, limits: ServingLimits, metrics: Metrics) -> Flask:
        """The app for one model or for many."""
        mms = Mms(self.folder, handler(self.user_code))
        bodies = Room(body_bytes(memory_limit()))
        if settings.multi_model:
            made = UserModels if self.user_code else RemoteModels
            models = made(mms, bodies, settings.evict, settings.archive_bounds, settings.hooks)
            threading.Thread(target=models.watch, name="watch", daemon=True).start()
            show_live(metrics, models.waiting, lambda: len(models.listed()))
            app = create_multi_model_app(models, limits, metrics, settings.models, self._answer)
            return self._described(app, settings, limits)
        predictor = self._single(settings, mms, bodies)
        batcher = predictor.batcher
        show_live(metrics, lambda: batcher.waiting, lambda: int(batcher.fault() is None))
        page = None if self.user_code else page_of(settings)
        app = create_app(predictor, limits, metrics, page, self._answer)
        return self._described(app, settings, limits)

    # Any: RemoteProgram has no description, which only the page reads
    def _single(self, settings: ServingSettings, mms: Mms, bodies: Room) -> Any:
        place = (settings.model, mms, MODEL_NAME, settings.workers, bodies)
        if self.user_code:
            return RemoteProgram(*place)
        return RemotePredictor(*place, hooks=settings.hooks)

    @property
    def _answer(self) -> Answerer:
        return call_answered if self.user_code else answered

    def _described(self, app: Flask, settings: ServingSettings, limits: ServingLimits) -> Flask:
        if self.user_code:
            describe_calls(app, settings.multi_model, limits)
        return app


def handler(user_code: bool) -> str:
    """The module that MMS's workers load."""
    return USER_HANDLER if user_code else HANDLER


def listen(settings: ServingSettings) -> socket.socket:
    """The socket that clients connect to. Raises OSError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)


def make_server(settings: ServingSettings, folder: Path, user_code: bool = False) -> Server:
    """The server; `serve` runs it until `should_exit`. Raises ArtifactError."""
    # this one process reads the bodies for all workers
    whole = dataclasses.replace(settings, body_budget=settings.body_budget * settings.workers)
    config = uvicorn.Config(
        make_app(whole, RemoteApps(folder, user_code)),
        **UVICORN_SETTINGS,
        log_config=None,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.stop_timeout_s - 1,
    )
    return Server(config)
