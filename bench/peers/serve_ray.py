"""Ray Serve over the model in /opt/ml/model, on port 8080, with a replica for each core.

PEER_REPLICAS is their number. Each runs its photos on one thread, which answers most photos/s.
"""

import os
import signal

import photo_model
from ray import serve
from starlette.requests import Request

REPLICAS = int(os.environ.get("PEER_REPLICAS", "1"))


@serve.deployment(num_replicas=REPLICAS, ray_actor_options={"num_cpus": 1}, max_ongoing_requests=8)
class Photos:
    def __init__(self):
        self.model = photo_model.open_model(threads=1)

    async def __call__(self, request: Request):
        body = await request.body()
        kind = request.headers.get("content-type", "")
        return self.model.answer(photo_model.photo_of(body, kind))


if __name__ == "__main__":
    serve.start(http_options={"host": "0.0.0.0", "port": 8080})
    serve.run(Photos.bind(), route_prefix="/")
    signal.pause()
