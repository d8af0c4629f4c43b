"""Run once while the serving image is built: opens what a server opens, so that it proves the trimmed install works and
leaves the bytecode of just the modules that are needed. It knows nothing of Slipway's own code.
"""

import base64
import io

import numpy as np
import openvino
import openvino.opset13 as ops
import prometheus_client
import prometheus_client.multiprocess  # noqa: F401
import uvicorn
import uvicorn.lifespan.off  # noqa: F401  uvicorn imports its parts by name
import uvicorn.loops.asyncio  # noqa: F401
import uvicorn.protocols.http.h11_impl  # noqa: F401
import uvicorn_worker  # noqa: F401
from PIL import Image, features

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")


def photo_bytes(file_format: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 100, 50)).save(stream, format=file_format)
    return stream.getvalue()


def check_openvino():
    pixels = ops.parameter([-1, 8, 8, 3], np.uint8, name="pixels")
    mean = ops.reduce_mean(ops.convert(pixels, "f32"), ops.constant([1, 2]), keep_dims=False)
    model = openvino.Model([ops.softmax(mean, 1)], [pixels], "warm")
    openvino.save_model(model, "/tmp/warm.xml")
    core = openvino.Core()
    if core.available_devices != ["CPU"]:
        raise SystemExit(f"warm_serve: OpenVINO offers {core.available_devices}, expected ['CPU']")
    compiled = core.compile_model(core.read_model("/tmp/warm.xml"), "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    if "onnx" not in openvino.frontend.FrontEndManager().get_available_front_ends():
        raise SystemExit("warm_serve: OpenVINO cannot read ONNX")
    answer = compiled(np.full((2, 8, 8, 3), 7, np.uint8))[0]
    if not np.allclose(answer, 1 / 3):
        raise SystemExit(f"warm_serve: OpenVINO answered {answer.tolist()}, expected thirds")


def check_photos():
    for file_format in FORMATS:
        Image.open(io.BytesIO(photo_bytes(file_format))).convert("RGB").resize((4, 4))


def check_flask():
    import flask

    app = flask.Flask("warm")
    app.post("/invocations")(lambda: flask.jsonify(size=len(base64.b64decode(flask.request.get_json()["b64"]))))
    response = app.test_client().post("/invocations", json={"b64": base64.b64encode(b"four").decode()})
    if response.get_json() != {"size": 4}:
        raise SystemExit(f"warm_serve: Flask answered {response.data!r}")


def main():
    import gunicorn.app.base
    import h11  # noqa: F401

    check_photos()
    check_openvino()
    check_flask()
    print(f"warm_serve: openvino {openvino.__version__}, jpeg turbo {features.version('libjpeg_turbo')}, "
          f"gunicorn {gunicorn.__version__}, uvicorn {uvicorn.__version__}, {len(prometheus_client.generate_latest())} bytes of numbers")


if __name__ == "__main__":
    main()
