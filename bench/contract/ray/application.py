"""An application of Ray Serve: JSON in, JSON out."""

import numpy as np
from ray import serve
from starlette.requests import Request

LABELS = ("setosa", "versicolor", "virginica")


@serve.deployment
class Linear:
    def __init__(self):
        self.weights = np.load("/opt/ml/model/linear.npy")

    async def __call__(self, request: Request):
        data = await request.json()
        scores = np.array(data["instances"], np.float32) @ self.weights
        return {"predictions": scores.tolist()}


app = Linear.bind()
