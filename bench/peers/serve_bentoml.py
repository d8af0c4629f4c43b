"""BentoML over the model in /opt/ml/model, on port 8080. PEER_REPLICAS is its number of workers.

A photo is the body of /invocations, or base64 in JSON for /json. It is run as a program, which
becomes `bentoml serve`.
"""

import base64
import os
import sys
from pathlib import Path

import bentoml
import photo_model

WORKERS = int(os.environ.get("PEER_REPLICAS", "1"))


@bentoml.service(workers=WORKERS, traffic={"timeout": 300})
class Photos:
    def __init__(self):
        self.model = photo_model.open_model(threads=1)

    @bentoml.api(route="/invocations")
    def invocations(self, photo: Path, /) -> dict:
        return self.model.answer(photo.read_bytes())

    @bentoml.api(route="/json")
    def of_json(self, image: str) -> dict:
        return self.model.answer(base64.b64decode(image))


if __name__ == "__main__":
    command = ["-m", "bentoml", "serve", "serve_bentoml:Photos", "--host", "0.0.0.0"]
    os.execv(sys.executable, [sys.executable, *command, "--port", "8080"])
