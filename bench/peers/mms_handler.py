"""multi-model-server's handler; MMS wants a single class in this file."""

from mms_inference import ImageHandler
from sagemaker_inference import default_handler_service
from sagemaker_inference.transformer import Transformer


class HandlerService(default_handler_service.DefaultHandlerService):
    def __init__(self):
        super().__init__(transformer=Transformer(default_inference_handler=ImageHandler()))
