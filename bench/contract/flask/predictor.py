"""The example's Flask app: CSV in, a label a line out. The first /ping loads the model."""

import os

import flask
import numpy as np

LABELS = np.array(["setosa", "versicolor", "virginica"])


class ScoringService:
    """The example keeps its model in a class: each worker has one of its own."""

    model = None

    @classmethod
    def get_model(cls):
        if cls.model is None:
            cls.model = np.load(os.path.join("/opt/ml/model", "linear.npy"))
        return cls.model

    @classmethod
    def predict(cls, rows):
        return LABELS[(rows @ cls.get_model()).argmax(axis=1)]


app = flask.Flask(__name__)


@app.route("/ping", methods=["GET"])
def ping():
    status = 404 if ScoringService.get_model() is None else 200
    return flask.Response(response="\n", status=status, mimetype="application/json")


@app.route("/invocations", methods=["POST"])
def transformation():
    if flask.request.content_type != "text/csv":
        return flask.Response(
            response="This predictor only supports CSV data", status=415, mimetype="text/plain"
        )
    lines = flask.request.data.decode("utf-8").splitlines()
    print(f"Invoked with {len(lines)} records", flush=True)
    rows = np.array([[float(value) for value in line.split(",")] for line in lines])
    text = "\n".join(ScoringService.predict(rows)) + "\n"
    return flask.Response(response=text, status=200, mimetype="text/csv")
