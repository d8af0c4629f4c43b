"""From MMS's requests to answers, by serve's own inputs and predictor.

It replaces sagemaker-inference's Transformer, and has its two methods. That one decodes types that
are not photos, sends tracebacks to clients, and gives each request of a batch the first one's
headers.
"""

import http
import json
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from artifact.machine import give_memory_back, memory_left
from artifact.model import ArtifactError
from artifact.preprocessing import PhotoError
from artifact.unpack import artifact_folder
from serve import inputs, outputs
from serve.batching import EngineDead
from serve.models import SPARE_BYTES, needed_bytes
from serve.predictor import Predictor, SharedLimits
from serve.request_state import Overloaded, RequestState, TooManyPhotos
from serve.settings import ServingSettings

if TYPE_CHECKING:
    from mms.context import Context

ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
ACCEPTED = tuple(name for name in inputs.ACCEPTED if name != inputs.FORM_TYPE)
MIB = 1024 * 1024
PROCESS_BYTES = 100 * MIB  # of a worker, before its model

log = logging.getLogger(__name__)


class Transformer:
    """A model in this process, and its answers to MMS's requests."""

    def validate_and_initialize(self, model_dir: str, context: "Context") -> None:
        """Open the artifact in a folder.

        Raises MemoryError, which MMS answers with 507; any other error ends the worker.
        """
        give_memory_back()
        self._settings = ServingSettings.read()
        try:
            folder = artifact_folder(Path(model_dir))
            if self._settings.multi_model:
                check_room(folder)
            self._predictor = Predictor(
                folder,
                self._settings.precision,
                SharedLimits(self._settings.threads),
                died=_leave,
            )
        except MemoryError as error:
            print(f"serve: failed: {error}", file=sys.stderr, flush=True)
            raise
        except ArtifactError as error:
            print(f"serve: failed: {error}", file=sys.stderr, flush=True)
            _leave()  # after one sentence; MMS would print a traceback

    def transform(self, data: list[Mapping[str, bytes]], context: "Context") -> list[bytes]:
        """The bodies of the answers to a batch of requests, in order.

        Statuses and types go into the context.
        """
        return [self._answer(index, request, context) for index, request in enumerate(data)]

    def _answer(self, index: int, request: Mapping[str, bytes], context: "Context") -> bytes:
        headers = {}
        for name, text in context.get_all_request_header(index).items():
            # among the headers MMS puts dictionaries, which describe the parts of a form
            if isinstance(text, str):
                headers[name.lower()] = text
        try:
            body, content_type = self._predicted(bytes(request.get("body") or b""), headers)
            status = 200
        except MemoryError:
            raise  # MMS answers 507, as SageMaker documents
        except Exception as error:
            status, sentence = refusal(error)
            body = json.dumps({"error": sentence}).encode() + b"\n"
            content_type = inputs.JSON_TYPE
        context.set_response_status(status, http.HTTPStatus(status).phrase, index)
        context.set_response_content_type(index, content_type)
        return body

    def _predicted(self, body: bytes, headers: Mapping[str, str]) -> tuple[bytes, str]:
        """Body and content type of the answer."""
        content_type = headers.get("content-type", "")
        media_type = inputs.media_type_of(content_type)
        # MMS takes forms apart, and keeps the last of several files of one name
        if media_type == inputs.FORM_TYPE:
            raise inputs.InputError(
                415,
                f"Content-Type '{media_type}' is not taken by multi-model-server; "
                f"send one of {', '.join(ACCEPTED)}",
            )
        answer_type = outputs.answer_type(headers.get("accept"), media_type)
        top_k = inputs.top_k_of(headers.get(ATTRIBUTES))
        tolerant = self._settings.batch_transform
        photos = inputs.photos_of(content_type, body, tolerant)
        state = RequestState.lasting(self._settings.timeout_s)
        predictions = self._predictor.predict(photos, top_k, state, tolerant)
        return outputs.render(predictions, answer_type), answer_type


def _leave() -> NoReturn:
    """End this worker; MMS starts another."""
    os._exit(1)


def check_room(folder: Path) -> None:
    """Raise MemoryError when loading the artifact would exceed the container's memory.

    The kernel would kill one of its processes then.
    """
    need = needed_bytes(folder) + SPARE_BYTES + PROCESS_BYTES
    room = memory_left()
    if room < need:
        raise MemoryError(
            f"the model needs about {need / 1e6:.0f} MB and {room / 1e6:.0f} MB are left"
        )


def refusal(error: Exception) -> tuple[int, str]:
    """Status and sentence for a client; an error that is not the client's goes to the log."""
    if isinstance(error, inputs.InputError):
        return error.status, str(error)
    if isinstance(error, PhotoError):
        return 422, f"the photo cannot be used: {error}"
    if isinstance(error, TooManyPhotos):
        return 413, str(error)
    if isinstance(error, Overloaded | EngineDead):
        return 503, str(error)
    log.error("a request failed", exc_info=error)
    return 500, "the server failed on this request; its log says why"
