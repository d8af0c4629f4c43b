"""The plain AWS example container, written anew: Flask behind gunicorn's sync workers, the model loaded by the first /ping, CSV by pandas' habits.

Without the example's nginx. Run by its path with `serve`; gunicorn imports it as a module. What its table must show is in test_conformance_example.py.
"""

import os
import signal
import subprocess
import sys
import time

import flask

PREFIX = os.path.join(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"), "model")
LOAD_S, PREDICT_S = (
    float(os.environ.get(name, default))
    for name, default in (("EXAMPLE_LOAD_S", "1.2"), ("EXAMPLE_PREDICT_S", "0.3"))
)


class ScoringService:
    """The example keeps its model in a class, and each gunicorn worker has one of its own."""

    model = None

    @classmethod
    def get_model(cls):
        if cls.model is None:
            time.sleep(LOAD_S)  # what unpickling a large model takes
            with open(os.path.join(PREFIX, "model.txt")) as file:
                cls.model = float(file.read())
        return cls.model

    @classmethod
    def predict(cls, rows):
        factor = cls.get_model()
        time.sleep(PREDICT_S)
        return [sum(row) * factor for row in rows]


app = flask.Flask(__name__)


@app.route("/ping", methods=["GET"])
def ping():
    health = ScoringService.get_model() is not None
    return flask.Response(response="\n", status=200 if health else 404, mimetype="application/json")


@app.route("/invocations", methods=["POST"])
def transformation():
    if flask.request.content_type != "text/csv":
        return flask.Response(
            response="This predictor only supports CSV data", status=415, mimetype="text/plain"
        )
    data = flask.request.data.decode("utf-8")
    print(f"Invoked with {len(data.splitlines())} records", flush=True)
    predictions = ScoringService.predict(
        [[float(value) for value in line.split(",")] for line in data.splitlines()]
    )
    return flask.Response(
        response="\n".join(map(str, predictions)), status=200, mimetype="text/csv"
    )


def sigterm_handler(server):
    """As the example: end gunicorn, and leave at once."""
    try:
        os.kill(server, signal.SIGTERM)
    except OSError:
        pass
    sys.exit(0)


def start_server():
    port = os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080")
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "gunicorn",
            "--timeout",
            "60",
            "-k",
            "sync",
            "-b",
            f"0.0.0.0:{port}",
            "-w",
            "2",
            "--chdir",
            os.path.dirname(os.path.abspath(__file__)),
            "aws_example:app",
        ]
    )
    signal.signal(signal.SIGTERM, lambda *_: sigterm_handler(server.pid))
    server.wait()
    sigterm_handler(server.pid)


if __name__ == "__main__":
    start_server()
