"""Run once while the serving image is built: it imports and runs the parts of a server.

That proves that the trimmed install works, and leaves the bytecode of the needed modules only. It
knows nothing of Slipway's own code.
"""

import base64

import openvino
import prometheus_client
import prometheus_client.multiprocess  # noqa: F401  for its bytecode
import uvicorn
import uvicorn.lifespan.off  # noqa: F401  uvicorn imports its parts by name
import uvicorn.loops.asyncio  # noqa: F401  for its bytecode
import uvicorn.protocols.http.h11_impl  # noqa: F401  for its bytecode
import uvicorn_worker  # noqa: F401  for its bytecode
from PIL import features
from warm_engine import check_openvino, check_photos


def check_flask() -> None:
    """Raise SystemExit unless a Flask app takes JSON and answers in JSON."""
    import flask

    app = flask.Flask("warm")

    @app.post("/invocations")
    def size() -> flask.Response:
        data = base64.b64decode(flask.request.get_json()["b64"])
        return flask.jsonify(size=len(data))

    text = base64.b64encode(b"four").decode()
    response = app.test_client().post("/invocations", json={"b64": text})
    if response.get_json() != {"size": 4}:
        raise SystemExit(f"warm_serve: Flask answered {response.data!r}")


def main() -> None:
    import gunicorn.app.base
    import h11  # noqa: F401  for its bytecode

    check_photos()
    check_openvino()
    check_flask()
    jpeg_turbo = features.version("libjpeg_turbo")
    numbers = prometheus_client.generate_latest()
    print(
        f"warm_serve: openvino {openvino.__version__}, jpeg turbo {jpeg_turbo}, "
        f"gunicorn {gunicorn.__version__}, uvicorn {uvicorn.__version__}, "
        f"{len(numbers)} bytes of numbers"
    )


if __name__ == "__main__":
    main()
