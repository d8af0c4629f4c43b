"""A worker's part: it opens the artifact, and answers the gateway's requests with the predictor.

It replaces sagemaker-inference's Transformer, and has its two methods. That one decodes types that
are not photos, and sends tracebacks to clients. Types, answers and refusals are the gateway's part.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from artifact.host.machine import give_memory_back
from serve.inputs import JSON_TYPE
from serve.mms.exchange import Done, Work, artifact_of, packed_answer, write_failure
from serve.predictor import Predictor, SharedLimits
from serve.request_state import RequestState
from serve.settings import ServingSettings

if TYPE_CHECKING:
    from mms.context import Context


class Transformer:
    """A model in this process, and its answers to MMS's requests."""

    def validate_and_initialize(self, model_dir: str, context: "Context") -> None:
        """Open the artifact that a model's folder names.

        When that fails, the folder gets the reason, and this worker ends: MMS would print a
        traceback, and take the worker as ready.
        """
        give_memory_back()
        folder = Path(model_dir)
        try:
            settings = ServingSettings.read()
            self._predictor = Predictor(
                artifact_of(folder),
                settings.precision,
                SharedLimits(settings.threads),
                died=_leave,
                hooks=settings.hooks,
            )
        except Exception as error:
            write_failure(folder, error)
            _leave()

    def transform(self, data: list[Mapping[str, bytes]], context: "Context") -> list[bytes]:
        """The answers to a batch of requests, in order. Errors are answers, too."""
        for index in range(len(data)):
            context.set_response_content_type(index, JSON_TYPE)
        return [self._answer(bytes(request["body"])) for request in data]

    def _answer(self, body: bytes) -> bytes:
        started = time.monotonic()
        try:
            work = Work.unpacked(body)
            state = RequestState.lasting(work.left_s)
            if work.saliency:
                saliency = self._predictor.saliency(work.photos[0], state)
                seconds = time.monotonic() - started
                return packed_answer(Done([], state.stages, seconds, saliency))
            predictions = self._predictor.predict(
                work.photos, work.top_k, state, work.tolerant, work.places
            )
            return packed_answer(Done(predictions, state.stages, time.monotonic() - started))
        except Exception as error:
            return packed_answer(error)


def _leave() -> NoReturn:
    """End this worker; MMS starts another."""
    os._exit(1)
