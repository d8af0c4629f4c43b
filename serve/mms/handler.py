"""MMS's handler service: sagemaker-inference's interface (initialize, handle) around serve's decoder and predictor.

Its own Transformer is not used: that decodes application/x-npy by unpickling, sends tracebacks to clients, and gives every
request of a batch the headers of the first.
"""

import http
import json
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from artifact.model import ArtifactError
from artifact.preprocessing import PhotoError
from serve import inputs, outputs, predictor
from serve.settings import Settings

if TYPE_CHECKING:
    from mms.context import Context

JSON = "application/json"
MIB = 1024 * 1024
ACCEPTED = tuple(name for name in inputs.ACCEPTED if name != inputs.FORM_TYPE)

log = logging.getLogger(__name__)


class SlipwayService:
    """One model in one worker process. MMS wants exactly one class in this module, and makes it without arguments."""

    def initialize(self, context: "Context") -> None:
        """Open the artifact in the model's folder. MMS takes MemoryError for 507; any other error ends the worker."""
        self._settings = Settings.read()
        directory = Path(context.system_properties["model_dir"])
        try:
            self._predictor = predictor.Predictor(directory, self._settings.precision)
        except ArtifactError as error:
            print(f"serve: failed: {error}", file=sys.stderr, flush=True)
            os._exit(1)  # the sentence says it; MMS would print a traceback

    def handle(self, data: list[Mapping[str, bytes]], context: "Context") -> list[bytes]:
        """The bodies of the answers to a batch of requests, in order; statuses and types go into the context."""
        return [self._answer(index, request, context) for index, request in enumerate(data)]

    def _answer(self, index: int, request: Mapping[str, bytes], context: "Context") -> bytes:
        headers = {name.lower(): text for name, text in context.get_all_request_header(index).items() if isinstance(text, str)}
        try:
            body, content_type = self._predicted(request.get("body") or b"", headers)
            status = 200
        except inputs.InputError as error:
            status, sentence = error.status, str(error)
        except PhotoError as error:
            status, sentence = 422, f"the photo cannot be used: {error}"
        except MemoryError:
            raise  # MMS answers 507, as SageMaker has it
        except Exception:
            log.exception("a request failed")  # the traceback is for the log; clients get one sentence
            status, sentence = 500, "the server failed on this request; its log says why"
        if status != 200:
            body, content_type = json.dumps({"error": sentence}).encode() + b"\n", JSON
        context.set_response_status(status, http.HTTPStatus(status).phrase, index)
        context.set_response_content_type(index, content_type)
        return body

    def _predicted(self, body: bytes, headers: Mapping[str, str]) -> tuple[bytes, str]:
        limit = self._settings.max_payload_mb
        if len(body) > limit * MIB:
            raise inputs.InputError(413, f"the body is larger than {limit:g} MB; send a smaller photo, one of {', '.join(inputs.ACCEPTED)}")
        content_type = headers.get("content-type", "")
        media_type = inputs.media_type_of(content_type)
        if media_type == inputs.FORM_TYPE:  # MMS takes forms apart, and of several files of one name keeps the last
            raise inputs.InputError(415, f"Content-Type '{media_type}' is not taken by multi-model-server; send one of {', '.join(ACCEPTED)}")
        answer_type = outputs.answer_type(headers.get("accept"), media_type)
        top_k = inputs.top_k_of(headers.get("x-amzn-sagemaker-custom-attributes"))
        photos = inputs.photos_of(content_type, bytes(body))
        return outputs.render(self._predictor.predict(photos, top_k), answer_type), answer_type
