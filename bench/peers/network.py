"""The model as the peers' users load it: torchvision's network and transforms, eager f32 torch."""

import io
import json
from pathlib import Path

import safetensors.torch
import torch
import torchvision
from PIL import Image
from torchvision import transforms


class Model:
    """The trained network in a model folder; photos in, labels out."""

    def __init__(self, directory: str):
        description = json.loads((Path(directory) / "model.json").read_text(encoding="utf-8"))
        sizes = description["preprocessing"]
        self.classes = description["classes"]
        architecture = description["architecture"]
        self.network = torchvision.models.get_model(architecture, num_classes=len(self.classes))
        weights = safetensors.torch.load_file(Path(directory) / "model.safetensors")
        self.network.load_state_dict(weights)
        self.network.eval()
        self.temperature = description["temperature"]
        interpolation = transforms.InterpolationMode(sizes["interpolation"])
        self.transform = transforms.Compose(
            [
                transforms.Resize(sizes["resize"], interpolation),
                transforms.CenterCrop(sizes["crop"]),
                transforms.ToTensor(),
                transforms.Normalize(sizes["mean"], sizes["std"]),
            ]
        )

    def decode(self, photo: bytes) -> torch.Tensor:
        """float32 [1, 3, S, S] of an encoded photo."""
        return self.transform(Image.open(io.BytesIO(photo)).convert("RGB"))[None]

    def probabilities(self, samples: torch.Tensor) -> torch.Tensor:
        """float32 [N, classes] of normalised samples, float32 [N, 3, S, S]."""
        with torch.inference_mode():
            return torch.softmax(self.network(samples) / self.temperature, dim=1)

    def answer(self, probabilities: torch.Tensor) -> dict:
        """slipway-serve's JSON: the five most probable labels of one photo, best first."""
        best = torch.topk(probabilities[0], 5)
        top = []
        for value, index in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            top.append({"label": self.classes[index], "probability": value})
        return {"predictions": [{**top[0], "top": top}]}
