"""The module that MMS loads in each worker: sagemaker-inference's service around our Transformer.

A function: MMS would swallow an error of a class's `initialize`, and take the worker as ready.
"""

import logging
import sys
from typing import TYPE_CHECKING

from sagemaker_inference.default_handler_service import DefaultHandlerService

from artifact.text.log_lines import log_to
from serve.mms.transformer import Transformer

if TYPE_CHECKING:
    from mms.context import Context

# MMS keeps nothing of what a worker writes to stdout
log_to(sys.stderr, logging.WARNING)
service = DefaultHandlerService(transformer=Transformer())


def handle(data: list[dict[str, bytes]] | None, context: "Context") -> list[bytes] | None:
    """MMS's entry point: load the model, once, without data; then answer batches of requests."""
    if data is None:
        service.initialize(context)
        return None
    answers: list[bytes] = service.handle(data, context)
    return answers
