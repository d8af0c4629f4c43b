"""What MMS loads in each worker: sagemaker-inference's handler service around our transformer.

A function, for of a class MMS swallows whatever its `initialize` raises, and takes the worker for ready.
"""

from typing import TYPE_CHECKING

from sagemaker_inference.default_handler_service import DefaultHandlerService

from serve.mms.transformer import Transformer

if TYPE_CHECKING:
    from mms.context import Context

service = DefaultHandlerService(transformer=Transformer())


def handle(data: list[dict] | None, context: "Context") -> list[bytes] | None:
    """MMS's entry point: without data, once, load the model; then the answers to a batch of requests."""
    return service.initialize(context) if data is None else service.handle(data, context)
