"""The generated app and its model's handler: JSON in, JSON out."""

import json
import logging
import os

import numpy as np
from flask import Flask, jsonify, request

MODEL_FORMAT = "npy"
logger = logging.getLogger(__name__)
model_handler = None


class ModelHandler:
    """It takes the first file with the suffix of its format."""

    def __init__(self, folder):
        self.folder = folder
        self.model = None

    def load_model(self):
        files = [name for name in os.listdir(self.folder) if name.endswith(MODEL_FORMAT)]
        if not files:
            raise FileNotFoundError("no model files found in the model directory")
        self.model = np.load(os.path.join(self.folder, files[0]))

    def is_loaded(self):
        return self.model is not None

    def predict(self, data):
        if isinstance(data, dict):
            data = data.get("instances", data.get("data", data))
        if isinstance(data, (str, bytes)):
            try:
                data = json.loads(data)
            except Exception as error:
                raise ValueError(f"Invalid input data format: {error}") from error
        return {"predictions": (np.array(data) @ self.model).tolist()}


def create_app():
    app = Flask(__name__)

    @app.route("/ping", methods=["GET"])
    def ping():
        if model_handler and model_handler.is_loaded():
            return jsonify({"status": "healthy"})
        return jsonify({"status": "model not loaded"}), 503

    @app.route("/invocations", methods=["POST"])
    def invocations():
        if not model_handler or not model_handler.is_loaded():
            return jsonify({"error": "Model not loaded"}), 503
        try:
            data = request.get_json() if request.is_json else request.data
            return jsonify(model_handler.predict(data))
        except ValueError as error:
            return jsonify({"error": f"Invalid input: {error}"}), 400
        except Exception as error:
            logger.exception("Error during inference")
            return jsonify({"error": str(error)}), 500

    return app


def load_model_for_worker():
    global model_handler
    model_handler = ModelHandler("/opt/ml/model")
    model_handler.load_model()
