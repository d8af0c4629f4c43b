"""What MMS loads in each worker: sagemaker-inference's handler service around our transformer.

MMS wants exactly one class in this module, and makes it without arguments.
"""

from sagemaker_inference.default_handler_service import DefaultHandlerService

from serve.mms.transformer import Transformer


class HandlerService(DefaultHandlerService):
    """One model in one worker process."""

    def __init__(self):
        super().__init__(transformer=Transformer())
