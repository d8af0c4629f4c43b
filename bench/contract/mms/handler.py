"""The handler of MMS's workers: CSV in, a label a line out."""

import os

import numpy as np

LABELS = np.array(["setosa", "versicolor", "virginica"])


class Linear:
    """The example's handler: it is made once for each model, in each worker."""

    def __init__(self):
        self.initialized = False
        self.weights = None

    def initialize(self, context):
        self.initialized = True
        folder = context.system_properties.get("model_dir")
        self.weights = np.load(os.path.join(folder, "linear.npy"))

    def handle(self, data, context):
        answers = []
        for request in data:
            body = request.get("body")
            lines = bytes(body).decode().splitlines()
            rows = np.array([[float(value) for value in line.split(",")] for line in lines])
            answers.append("\n".join(LABELS[(rows @ self.weights).argmax(axis=1)]))
        return answers


_service = Linear()


def handle(data, context):
    if not _service.initialized:
        _service.initialize(context)
    if data is None:
        return None
    return _service.handle(data, context)
