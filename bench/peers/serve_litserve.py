"""LitServe over the model in /opt/ml/model, on port 8080. PEER_REPLICAS is its number of workers.

It takes photos as base64 in JSON.
"""

import os

import litserve
import photo_model

WORKERS = int(os.environ.get("PEER_REPLICAS", "1"))


class ImageAPI(litserve.LitAPI):
    def setup(self, device):
        # several workers share the cores, a thread each
        self.model = photo_model.open_model(threads=1 if WORKERS > 1 else None)

    def decode_request(self, request):
        return photo_model.base64.b64decode(request["image"])

    def predict(self, photo):
        return self.model.answer(photo)

    def encode_response(self, answer):
        return answer


if __name__ == "__main__":
    api = ImageAPI(api_path="/invocations")
    litserve.LitServer(api, accelerator="cpu", workers_per_device=WORKERS).run(
        port=8080, generate_client_file=False
    )
