"""The plain AWS example container, written anew: Flask behind gunicorn's sync workers.

Its first /ping loads the model; CSV is read as pandas reads it. The example's nginx is left out.
Run by its path with `serve`; gunicorn imports it as a module. tests/conformance/test_example.py
says which clauses it breaks.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time

import flask

PREFIX = os.path.join(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"), "model")
LOAD_S = float(os.environ.get("EXAMPLE_LOAD_S", "1.2"))
PREDICT_S = float(os.environ.get("EXAMPLE_PREDICT_S", "0.3"))
WORKERS = 2


class ScoringService:
    """The example keeps its model in a class. Each gunicorn worker has one of its own."""

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
    rows = [list(map(float, line.split(","))) for line in lines]
    predictions = ScoringService.predict(rows)
    text = "\n".join(map(str, predictions))
    return flask.Response(response=text, status=200, mimetype="text/csv")


def sigterm_handler(server):
    """As the example: end gunicorn, and leave at once."""
    with contextlib.suppress(OSError):
        os.kill(server, signal.SIGTERM)
    sys.exit(0)


def start_server():
    port = os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080")
    folder = os.path.dirname(os.path.abspath(__file__))
    options = f"--timeout 60 -k sync -b 0.0.0.0:{port} -w {WORKERS}".split()
    command = [sys.executable, "-m", "gunicorn", *options, "--chdir", folder, "aws_example:app"]
    server = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: sigterm_handler(server.pid))
    server.wait()
    sigterm_handler(server.pid)


if __name__ == "__main__":
    start_server()
