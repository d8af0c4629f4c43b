"""Run once while the serve-mms-torch image is built: it imports what its workers need.

That proves that the packages of MMS work beside torch, and leaves their bytecode. It knows nothing
of Slipway's own code.
"""

import importlib.metadata

import mms.context  # noqa: F401  for its bytecode
import mms.model_loader  # noqa: F401  for its bytecode
import mms.model_service_worker  # noqa: F401  for its bytecode
import sagemaker_inference.decoder  # noqa: F401  for its bytecode
import sagemaker_inference.transformer  # noqa: F401  for its bytecode
import torch
import torchvision  # noqa: F401  what most of the users' code imports


def main() -> None:
    versions = [
        f"{name} {importlib.metadata.version(name)}"
        for name in ("multi-model-server", "sagemaker-inference")
    ]
    print(f"warm_serve_mms_torch: {', '.join(versions)}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
