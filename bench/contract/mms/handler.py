"""The handler of MMS's workers, on the toolkit as its README shows: CSV, JSON or NPY in."""

import os

import numpy as np
from sagemaker_inference import decoder, encoder
from sagemaker_inference.default_handler_service import DefaultHandlerService
from sagemaker_inference.default_inference_handler import DefaultInferenceHandler
from sagemaker_inference.transformer import Transformer

LABELS = np.array(["setosa", "versicolor", "virginica"])


class Linear(DefaultInferenceHandler):
    """The four functions that the toolkit asks for."""

    def default_model_fn(self, model_dir, context=None):
        return np.load(os.path.join(model_dir, "linear.npy"))

    def default_input_fn(self, input_data, content_type, context=None):
        return decoder.decode(input_data, content_type)

    def default_predict_fn(self, data, model, context=None):
        return LABELS[(np.atleast_2d(data) @ model).argmax(axis=1)]

    def default_output_fn(self, prediction, accept, context=None):
        return encoder.encode(prediction, accept)


_service = DefaultHandlerService(Transformer(Linear()))


def handle(data, context):
    if data is None:  # when MMS has loaded the model
        return _service.initialize(context)
    return _service.handle(data, context)
