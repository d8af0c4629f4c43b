"""The model of a peer: around our engine, or around eager torch where PEER_ENGINE=torch."""

import base64
import importlib
import json
import os

JSON = "application/json"


def open_model(threads: int | None = None):
    """The model in /opt/ml/model; its `answer` takes an encoded photo."""
    name = "torch_engine" if os.environ.get("PEER_ENGINE") == "torch" else "own_engine"
    return importlib.import_module(name).Model("/opt/ml/model", threads)


def photo_of(body: bytes, content_type: str) -> bytes:
    """The photo of a request: the body itself, or base64 in JSON, under `image`."""
    if content_type.partition(";")[0] != JSON:
        return body
    return base64.b64decode(json.loads(body)["image"])
