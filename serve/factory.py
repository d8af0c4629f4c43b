"""The parts of a server, put together by its settings."""

import logging
import os
import time

from artifact.machine import give_memory_back
from serve.app import Page, ServingLimits, create_app, too_large
from serve.asgi_gateway import AsgiGateway, ConnectionLimits
from serve.metrics import Metrics
from serve.models import Models
from serve.multi_model import create_multi_model_app
from serve.predictor import Predictor, SharedLimits
from serve.settings import ServingSettings

DEAD_S = 10.0  # for which /ping tells of a dead engine before its worker is replaced

log = logging.getLogger(__name__)


def make_app(settings: ServingSettings) -> AsgiGateway:
    """An ASGI app whose model is loaded and warm, or that has no models yet. ArtifactError when the model cannot be used."""
    give_memory_back()
    metrics, shared = Metrics(), SharedLimits(settings.threads)
    limits = ServingLimits(
        settings.max_payload_mb,
        settings.timeout_s,
        settings.batch_transform,
        transforms=2 * settings.threads * settings.workers,
    )
    if settings.multi_model:
        models = Models(settings.precision, shared, settings.device, settings.evict)
        app = create_multi_model_app(models, limits, metrics)
        metrics.live("slipway_queue_photos", "Photos admitted and not yet answered", models.waiting)
        metrics.live(
            "slipway_models_loaded",
            "Models that can answer",
            lambda: len(models.listed()) - len(models.faults()),
        )
        log.info(
            "serving models on demand on port %d with %d threads", settings.port, settings.threads
        )
    else:
        predictor = Predictor(
            settings.model,
            settings.precision,
            shared,
            settings.device,
            died=_leave,
            openvino_streams=True,
        )
        app = create_app(
            predictor,
            limits,
            metrics,
            Page(settings.samples, settings.sure_from) if settings.page else None,
        )
        metrics.live(
            "slipway_queue_photos",
            "Photos admitted and not yet answered",
            lambda: predictor.batcher.waiting,
        )
        metrics.live(
            "slipway_models_loaded",
            "Models that can answer",
            lambda: int(predictor.batcher.fault() is None),
        )
        log.info(
            "serving %s with %d classes on port %d: %s %s, %d threads",
            predictor.description.architecture,
            len(predictor.description.classes),
            settings.port,
            predictor.engine.name,
            predictor.engine.precision,
            settings.threads,
        )
    body_bytes = int(settings.max_payload_mb * 1024 * 1024)
    bounds = ConnectionLimits(
        settings.max_requests,
        body_bytes,
        max(settings.body_budget, body_bytes),
        min(20.0, settings.timeout_s / 3),
        settings.timeout_s,
    )
    return AsgiGateway(app, bounds, metrics, too_large(settings.max_payload_mb))


def _leave() -> None:
    """The engine has died: end this worker, once that was told to those who ask, and let gunicorn start another."""
    time.sleep(DEAD_S)
    os._exit(1)
