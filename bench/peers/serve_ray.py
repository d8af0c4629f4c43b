"""Ray Serve over the model in /opt/ml/model, on port 8080, with a replica for each core.

PEER_REPLICAS is their number. Each runs its photos on one thread, which answers most photos/s.
Ray gives its own processes 30 s to start. On a busy machine that is too little: they get
longer, and a later try finds their files read already.
"""

import os
import signal

import photo_model
import ray
from ray import serve
from starlette.requests import Request

TRIES = 5
REPLICAS = int(os.environ.get("PEER_REPLICAS", "1"))


@serve.deployment(num_replicas=REPLICAS, ray_actor_options={"num_cpus": 1}, max_ongoing_requests=8)
class Photos:
    def __init__(self):
        self.model = photo_model.open_model(threads=1)

    async def __call__(self, request: Request):
        body = await request.body()
        kind = request.headers.get("content-type", "")
        return self.model.answer(photo_model.photo_of(body, kind))


def start_ray():
    """Start Ray on this machine, without its dashboard, for which it waits up to two minutes."""
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")
    for _ in range(TRIES - 1):
        try:
            return ray.init(include_dashboard=False)
        except Exception as error:  # Ray raises no kind of its own here
            print(f"Ray did not start: {error}", flush=True)
            ray.shutdown()
    return ray.init(include_dashboard=False)


if __name__ == "__main__":
    start_ray()
    serve.start(http_options={"host": "0.0.0.0", "port": 8080})
    serve.run(Photos.bind(), route_prefix="/")
    signal.pause()
