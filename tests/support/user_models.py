"""Models as SageMaker's SDK packs a user's own: model.pth, and code/inference.py beside it."""

from pathlib import Path

import torch
import torchvision

PROGRAM = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}

# As the SDK's examples have it. It imports modules that are named as packages of ours.
INFERENCE = """
import io, os
import artifact, serve
import torch
from PIL import Image
from torchvision import models, transforms

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
sizes = transforms.Compose(
    [transforms.Resize(64), transforms.CenterCrop(64), transforms.ToTensor()]
)

def model_fn(model_dir):
    network = models.resnet18(num_classes=3)
    path = os.path.join(model_dir, "model.pth")
    network.load_state_dict(torch.load(path, map_location=device, weights_only=True))
    return network.to(device).eval()

def input_fn(request_body, content_type):
    assert artifact.MINE == serve.MINE == 7
    if content_type not in ("image/jpeg", "image/png", "application/x-image"):
        raise ValueError(f"{content_type} is no photo")
    return sizes(Image.open(io.BytesIO(request_body)).convert("RGB"))[None].to(device)

def predict_fn(data, model):
    with torch.inference_mode():
        return model(data)
"""


def pack_resnet18(folder: Path, seed: int = 0, inference: str = INFERENCE) -> torch.nn.Module:
    """Write the layout of a resnet18 of random weights for three classes; the network."""
    (folder / "code").mkdir(parents=True)
    torch.manual_seed(seed)
    network = torchvision.models.resnet18(num_classes=3).eval()
    torch.save(network.state_dict(), folder / "model.pth")
    (folder / "code" / "inference.py").write_text(inference)
    for name in ("artifact.py", "serve.py"):
        (folder / "code" / name).write_text("MINE = 7\n")
    return network
