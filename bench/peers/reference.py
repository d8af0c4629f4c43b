"""python reference.py FOLDER: top labels of each photo, as JSON, by the model in /opt/ml/model.

reference: of f32 torch on our pixels, the standard for every engine. engine: of our torch engine.
torch: of the peers.
"""

import json
import sys
from pathlib import Path

import torch
from network import Model

from artifact.engines.torch_engine import TorchEngine
from artifact.model import read_description
from artifact.networks.probabilities import Probabilities


def main() -> None:
    model = Model("/opt/ml/model")
    description = read_description("/opt/ml/model")
    ours = Probabilities(model.network, description.preprocessing, description.temperature).eval()
    engine = TorchEngine("/opt/ml/model", description, device="cpu", max_batch=1)
    labels = {}
    for path in sorted(Path(sys.argv[1]).rglob("*.jpg")):
        pixels = torch.from_numpy(description.preprocessing.network_pixels(path).copy())
        with torch.inference_mode():
            reference = ours(pixels[None]).argmax().item()
        peer = model.probabilities(model.decode(path.read_bytes())).argmax().item()
        name = str(path.relative_to(sys.argv[1]))
        own = engine.run(pixels.numpy()[None])[0, : len(description.classes)].argmax()
        labels[name] = {
            "reference": model.classes[reference],
            "engine": model.classes[own],
            "torch": model.classes[peer],
        }
    json.dump(labels, sys.stdout)


if __name__ == "__main__":
    main()
