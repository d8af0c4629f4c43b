"""The server's parts, put together by its settings."""

import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Flask

from artifact.archives.unpack import discard_unpacked
from artifact.host.machine import give_memory_back
from artifact.host.starting import Loading
from serve.answering import ServingLimits
from serve.app import MIB, Page, create_app, too_large
from serve.asgi_gateway import AsgiGateway, ConnectionLimits
from serve.metrics import Metrics
from serve.models import Models
from serve.multi_model import create_multi_model_app
from serve.predictor import Predictor, SharedLimits
from serve.settings import ServingSettings

# To read a body: so many seconds, or for a large one by its size.
BODY_S = 20.0
SLOWEST_MB_S = 4.0
# Between the engine's death and its worker's end: /ping must be able to report it.
DEAD_S = 10.0

# OpenTelemetry's own variables
COLLECTORS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

if TYPE_CHECKING:
    from serve.traces import Traces

log = logging.getLogger(__name__)


AppMaker = Callable[[ServingSettings, ServingLimits, Metrics], Flask]


def make_app(settings: ServingSettings, flask_app: AppMaker | None = None) -> AsgiGateway:
    """An ASGI app whose model is loaded and warm; of a multi-model server it has no models yet.

    flask_app: makes the app within, in place of those around models in this process. Raises
    ArtifactError when the model cannot be used.
    """
    give_memory_back()
    metrics = Metrics()
    limits = ServingLimits(
        settings.max_payload_mb,
        settings.timeout_s,
        settings.batch_transform,
        transforms=2 * settings.threads * settings.workers,
        in_slices=settings.patient,
    )
    made_here = _multi_model_app if settings.multi_model else _single_model_app
    app = (flask_app or made_here)(settings, limits, metrics)
    too_large_body = too_large(settings.max_payload_mb)
    limits_of_connections = _connection_limits(settings)
    return AsgiGateway(
        app, limits_of_connections, metrics, too_large_body, settings.hosts, traces_wanted()
    )


def traces_wanted() -> "Traces | None":
    """Where the environment wants traces to go; None where it names no collector.

    OpenTelemetry is imported only then.
    """
    if not any(os.environ.get(name) for name in COLLECTORS):
        return None
    try:
        from serve.traces import open_traces
    except ModuleNotFoundError as error:
        log.warning("%s is set, and %s is not installed here: no traces", COLLECTORS[0], error.name)
        return None
    return open_traces()


def _single_model_app(settings: ServingSettings, limits: ServingLimits, metrics: Metrics) -> Flask:
    with Loading("serve", "the model"):
        predictor = Predictor(
            settings.model,
            settings.precision,
            SharedLimits(settings.threads),
            settings.device,
            died=_leave,
            openvino_streams=True,
            hooks=settings.hooks,
        )
    batcher = predictor.batcher
    show_live(metrics, lambda: batcher.waiting, lambda: int(batcher.fault() is None))
    log.info(
        "serving %s with %d classes on port %d: %s %s, %d threads",
        predictor.description.architecture,
        len(predictor.description.classes),
        settings.port,
        predictor.engine.name,
        predictor.engine.precision,
        settings.threads,
    )
    return create_app(predictor, limits, metrics, page_of(settings))


def page_of(settings: ServingSettings) -> Page | None:
    """The page that the settings ask for."""
    return Page(settings.samples, settings.sure_from) if settings.page else None


def _multi_model_app(settings: ServingSettings, limits: ServingLimits, metrics: Metrics) -> Flask:
    discard_unpacked()  # by a worker that was killed while it loaded a model
    shared = SharedLimits(settings.threads)
    models = Models(
        settings.precision,
        shared,
        settings.device,
        settings.evict,
        bounds=settings.archive_bounds,
        hooks=settings.hooks,
    )
    show_live(metrics, models.waiting, lambda: len(models.listed()) - len(models.faults()))
    log.info("serving models on demand on port %d with %d threads", settings.port, settings.threads)
    return create_multi_model_app(models, limits, metrics, settings.models)


def show_live(metrics: Metrics, waiting: Callable[[], int], answering: Callable[[], int]) -> None:
    """Offer what the models do now among the metrics."""
    metrics.live("slipway_queue_photos", "Photos admitted and not yet answered", waiting)
    metrics.live("slipway_models_loaded", "Models that can answer", answering)


def _connection_limits(settings: ServingSettings) -> ConnectionLimits:
    body_bytes = int(settings.max_payload_mb * MIB)
    return ConnectionLimits(
        settings.max_requests,
        body_bytes,
        max(settings.body_budget, body_bytes),  # one body of the allowed size always fits
        # the rest of the time is for the model
        min(max(BODY_S, settings.max_payload_mb / SLOWEST_MB_S), settings.timeout_s / 3),
        settings.timeout_s,
    )


def _leave() -> None:
    """End this worker after its engine has died, and let gunicorn start another."""
    time.sleep(DEAD_S)
    os._exit(1)
