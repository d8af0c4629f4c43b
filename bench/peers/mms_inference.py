"""sagemaker-inference's four functions, as a bring-your-own container writes them."""

import json

from network import Model
from photo_model import photo_of
from sagemaker_inference.default_inference_handler import DefaultInferenceHandler


class ImageHandler(DefaultInferenceHandler):
    def default_model_fn(self, model_dir, context=None):
        self.model = Model(model_dir)
        return self.model

    def default_input_fn(self, input_data, content_type, context=None):
        # sagemaker-inference hands over JSON as text
        body = input_data.encode() if isinstance(input_data, str) else bytes(input_data)
        return self.model.decode(photo_of(body, content_type or ""))

    def default_predict_fn(self, data, model, context=None):
        return model.answer(model.probabilities(data))

    def default_output_fn(self, prediction, accept, context=None):
        return json.dumps(prediction), "application/json"
