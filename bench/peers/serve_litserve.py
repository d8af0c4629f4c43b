"""LitServe over the model in /opt/ml/model, on port 8080, with one worker.

It takes photos as base64 in JSON, at /predict.
"""

import base64

import litserve
from network import Model


class ImageAPI(litserve.LitAPI):
    def setup(self, device):
        self.model = Model("/opt/ml/model")

    def decode_request(self, request):
        return self.model.decode(base64.b64decode(request["image"]))

    def predict(self, samples):
        return self.model.probabilities(samples)

    def encode_response(self, probabilities):
        return self.model.answer(probabilities)


if __name__ == "__main__":
    litserve.LitServer(ImageAPI(), accelerator="cpu", workers_per_device=1).run(
        port=8080, generate_client_file=False
    )
