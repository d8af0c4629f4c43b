"""The checks of all CPU serving images while they are built: OpenVINO and Pillow work."""

import base64
import io

import numpy as np
import openvino
import openvino.opset13 as ops
from PIL import Image

# Those of artifact/photos/formats.py, which a later layer of the image brings.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF", "JPEG2000", "PPM")
# A photo of 8 x 8 pixels: no image has an encoder of HEIC.
HEIC = (
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAXxtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAA"
    "AAAAAAAAAAAAACJpbG9jAAAAAERAAAEAAQAAAAABoAABAAAAAAAAADIAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAA"
    "AAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA/GlwcnAAAADcaXBjbwAAAHVodmNDAQNwAAAAkAAAAAAAHvAA/P34"
    "+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQApQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqrprm"
    "4CGgwIAAAAyAAAADAIRiAAEABkQBwXPBiQAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAA"
    "AChjbGFwAAAACAAAAAEAAAAIAAAAAf///8gAAAAC////yAAAAAIAAAAQcGl4aQAAAAADCAgIAAAAGGlwbWEAAAAA"
    "AAAAAQABBYECAwWEAAAAOm1kYXQAAAAuKAGvEyFiY0D1JyL/9+Sf/Ie5/xd2WFncroDBW/L6wPZkm8DzqpGegIdp"
    "pzAVeA=="
)


def photo_bytes(file_format: str) -> bytes:
    """A red photo of 8 x 8 pixels."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 100, 50)).save(stream, format=file_format)
    return stream.getvalue()


def check_openvino() -> None:
    """Raise SystemExit unless OpenVINO reads, compiles and runs a model, and can read ONNX."""
    pixels = ops.parameter([-1, 8, 8, 3], np.uint8, name="pixels")
    mean = ops.reduce_mean(ops.convert(pixels, "f32"), ops.constant([1, 2]), keep_dims=False)
    model = openvino.Model([ops.softmax(mean, 1)], [pixels], "warm")
    openvino.save_model(model, "/tmp/warm.xml")
    core = openvino.Core()
    if core.available_devices != ["CPU"]:
        raise SystemExit(f"warm_engine: OpenVINO offers {core.available_devices}, expected ['CPU']")
    # on Arm it computes in f16 unless it is asked for f32
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model("/tmp/warm.xml"), "CPU", settings)
    if "onnx" not in openvino.frontend.FrontEndManager().get_available_front_ends():
        raise SystemExit("warm_engine: OpenVINO cannot read ONNX")
    # the softmax of three equal means
    answer = compiled(np.full((2, 8, 8, 3), 7, np.uint8))[0]
    if not np.allclose(answer, 1 / 3):
        raise SystemExit(f"warm_engine: OpenVINO answered {answer.tolist()}, expected thirds")


def check_photos() -> None:
    """Fail unless Pillow writes, reads and resizes every format."""
    for file_format in FORMATS:
        if file_format == "HEIF":
            check_heic()
        else:
            Image.open(io.BytesIO(photo_bytes(file_format))).convert("RGB").resize((4, 4))


def check_heic() -> None:
    """Fail unless HEIC is read, where the image has pillow-heif. Nothing here writes it."""
    try:
        import pillow_heif
    except ImportError:
        print("warm_engine: without HEIC, as HEIC=0 asks for")
        return
    pillow_heif.register_heif_opener()
    Image.open(io.BytesIO(base64.b64decode(HEIC))).convert("RGB").resize((4, 4))
    encoders = pillow_heif.libheif_info()["encoders"]
    if any("x265" in name for name in encoders):
        raise SystemExit("warm_engine: libheif has x265, an encoder under GPL-2")
