"""Run once while the GPU serving image is built, after warm_serve.py: torch, on the CPU.

It runs the parts of torch that the engine needs: that proves that all are there, and leaves their
bytecode. It knows nothing of Slipway's own code.
"""

import importlib

import torch
import torchvision
from torch.fx.experimental.optimization import fuse

ONLY_IMPORTED = ("safetensors.torch", "torch.cuda.graphs")


def check_torch() -> float:
    """The largest difference that folding batch norm makes, in float32."""
    if torch.version.cuda is None:
        raise SystemExit(f"warm_serve_gpu: torch {torch.__version__} was built without CUDA")
    model = torchvision.models.resnet18(num_classes=3).eval()
    pixels = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        last = torch.channels_last
        folded = fuse(model).to(memory_format=last)  # type: ignore[call-overload]  # torch's
        difference = float((folded(pixels) - model(pixels)).abs().max())
        folded.to(torch.bfloat16)(pixels.to(torch.bfloat16))
    return difference


def main() -> None:
    for name in ONLY_IMPORTED:
        importlib.import_module(name)
    difference = check_torch()
    if not difference < 1e-4:
        raise SystemExit(
            f"warm_serve_gpu: folding batch norm changed answers by {difference}, "
            "expected under 1e-4"
        )
    print(
        f"warm_serve_gpu: torch {torch.__version__} with CUDA {torch.version.cuda}, "
        f"largest difference {difference:.1e}"
    )


if __name__ == "__main__":
    main()
