"""Run once while the training image is built, after warm_train.py and on its model: quantizes it to int8 as training does, in a
process without torch, so that the build fails where trimming took something that NNCF needs. Its one argument is the folder
with model.onnx. It knows nothing of Slipway's own code.
"""

import sys
from pathlib import Path

import numpy as np

sys.modules.update({"torch": None, "onnx": None})

import nncf  # noqa: E402
import openvino  # noqa: E402


def main():
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
        answers = np.stack([[compiled(photo)[0], plain(photo)[0]] for photo in photos])
        difference = np.abs(answers[:, 0] - answers[:, 1]).max()
        steps = sum(node.get_type_name() == "FakeQuantize" for node in quantized.get_ops())
        if not difference < 0.5 or not steps:
            raise SystemExit(
                f"warm_quantization: int8 differs by {difference} with {steps} quantized steps"
            )
    print(
        f"warm_quantization: nncf {nncf.__version__}, {steps} quantized steps, largest difference {difference:.1e}"
    )


if __name__ == "__main__":
    main()
