"""warm_train.py FOLDER: a tiny training from data loader to compiled artifact, in FOLDER.

Run once while the training image is built. It proves that the trimmed install works, and leaves the
bytecode of the needed modules only. It knows nothing of Slipway's own code.
"""

import importlib
import sys
from pathlib import Path

import numpy as np
import openvino
import torch
import torchvision
from PIL import Image, ImageChops, ImageSequence  # noqa: F401  two for their bytecode
from safetensors.torch import load_file, save_file
from tensorboardX import SummaryWriter
from torch.utils.data import DataLoader, TensorDataset

ONLY_IMPORTED = (
    "jinja2",
    "onnx.checker",
    "pandas",
    "psutil",
    "requests",
    "sagemaker_training.cli.train",
    "sagemaker_training.entry_point",
    "scipy.optimize",
    "scipy.stats",
    "smdebug.pytorch",
    "timm",
    "torch.distributed",
    "torchvision.transforms.v2",
)


def train(folder: Path) -> torch.nn.Module:
    """Two steps, with everything that a training writes; the network."""
    model: torch.nn.Module = torchvision.models.resnet18(num_classes=3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    photos = TensorDataset(torch.rand(8, 3, 32, 32), torch.arange(8) % 3)
    with SummaryWriter(str(folder / "events")) as writer:
        for step, (pixels, classes) in enumerate(DataLoader(photos, batch_size=4, num_workers=1)):
            with torch.autocast("cpu", torch.bfloat16):
                loss = torch.nn.functional.cross_entropy(model(pixels), classes)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's gap
            optimizer.step()
            writer.add_scalar("loss", loss.item(), step)
    torch.save({"model": model.state_dict()}, folder / "checkpoint.pt")
    model.load_state_dict(torch.load(folder / "checkpoint.pt", weights_only=True)["model"])
    save_file(model.state_dict(), folder / "model.safetensors")
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model.eval()


def check_export(model: torch.nn.Module, folder: Path) -> float:
    """The largest difference between torch's and OpenVINO's answers, both in float32."""
    pixels = torch.rand(2, 3, 32, 32)
    torch.onnx.export(
        model,
        (pixels,),
        str(folder / "model.onnx"),
        dynamo=False,
        input_names=["pixels"],
        dynamic_axes={"pixels": {0: "batch"}},
    )
    compiled = openvino.Core().compile_model(
        str(folder / "model.onnx"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    with torch.inference_mode():
        return float(np.abs(compiled(pixels.numpy())[0] - model(pixels).numpy()).max())


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in ONLY_IMPORTED:
        importlib.import_module(name)
    Image.init()  # all formats of Pillow, else they are imported one by one as photos come
    difference = check_export(train(folder), folder)
    if not difference < 1e-4:
        raise SystemExit(
            f"warm_train: OpenVINO's answers differ from torch's by {difference}, "
            "expected under 1e-4"
        )
    print(
        f"warm_train: torch {torch.__version__}, torchvision {torchvision.__version__}, "
        f"openvino {openvino.__version__}, largest difference {difference:.1e}"
    )


if __name__ == "__main__":
    main()
