"""warm_quantization.py FOLDER: quantize FOLDER/model.onnx to int8, as training does.

Run once while the training image is built, after warm_train.py, in a process without torch. The
build fails here if trimming removed a file that NNCF needs. It knows nothing of Slipway's own code.
"""

import sys
from pathlib import Path

import numpy as np

for name in ("torch", "onnx"):
    sys.modules[name] = None  # type: ignore[assignment]  # makes its import fail

import nncf  # noqa: E402  after the two are blocked
import openvino  # noqa: E402  it imports torch, too, where that is there


def main() -> None:
    folder = Path(sys.argv[1])
    core = openvino.Core()
    model = core.read_model(folder / "model.onnx")
    photos = np.random.default_rng(0).random((8, 1, 3, 32, 32), dtype=np.float32)
    model.reshape(photos.shape[1:])
    plain = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for kind in (None, nncf.ModelType.TRANSFORMER):
        quantized = nncf.quantize(
            model, nncf.Dataset(photos), subset_size=len(photos), model_type=kind
        )
        openvino.save_model(quantized, folder / "model.int8.xml")
        compiled = core.compile_model(
            folder / "model.int8.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
        )
        difference = max(np.abs(compiled(photo)[0] - plain(photo)[0]).max() for photo in photos)
        steps = sum(node.get_type_name() == "FakeQuantize" for node in quantized.get_ops())
        if not difference < 0.5 or not steps:
            raise SystemExit(
                f"warm_quantization: int8 differs by {difference} with {steps} quantized steps"
            )
    print(
        f"warm_quantization: nncf {nncf.__version__}, {steps} quantized steps, "
        f"largest difference {difference:.1e}"
    )


if __name__ == "__main__":
    main()
