"""Run once while the serving image is built: opens what a server opens, so that it proves the trimmed install works and
leaves the bytecode of just the modules that are needed. It knows nothing of Slipway's own code.
"""

import base64

import openvino
import prometheus_client
import prometheus_client.multiprocess  # noqa: F401
import uvicorn
import uvicorn.lifespan.off  # noqa: F401  uvicorn imports its parts by name
import uvicorn.loops.asyncio  # noqa: F401
import uvicorn.protocols.http.h11_impl  # noqa: F401
import uvicorn_worker  # noqa: F401
from PIL import features
from warm_engine import check_openvino, check_photos


def check_flask():
    import flask

    app = flask.Flask("warm")
    app.post("/invocations")(
        lambda: flask.jsonify(size=len(base64.b64decode(flask.request.get_json()["b64"])))
    )
    response = app.test_client().post(
        "/invocations", json={"b64": base64.b64encode(b"four").decode()}
    )
    if response.get_json() != {"size": 4}:
        raise SystemExit(f"warm_serve: Flask answered {response.data!r}")


def main():
    import gunicorn.app.base
    import h11  # noqa: F401

    check_photos()
    check_openvino()
    check_flask()
    print(
        f"warm_serve: openvino {openvino.__version__}, jpeg turbo {features.version('libjpeg_turbo')}, "
        f"gunicorn {gunicorn.__version__}, uvicorn {uvicorn.__version__}, {len(prometheus_client.generate_latest())} bytes of numbers"
    )


if __name__ == "__main__":
    main()
