"""python reference.py FOLDER: as JSON, two top labels of each photo in a folder by f32 torch, both from /opt/ml/model:
`reference`, of our preprocessing, which every engine is held to, and `torch`, of the peers' own.
"""

import json
import sys
from pathlib import Path

import torch
from artifact.model import read_description
from artifact.network import Probabilities
from artifact.preprocessing import read_photo
from network import Model


def main() -> None:
    model = Model("/opt/ml/model")
    description = read_description("/opt/ml/model")
    ours = Probabilities(model.network, description.preprocessing, description.temperature).eval()
    labels = {}
    for path in sorted(Path(sys.argv[1]).rglob("*.jpg")):
        pixels = torch.from_numpy(description.preprocessing.pixels(read_photo(path)).copy())
        with torch.inference_mode():
            reference = ours(pixels[None]).argmax().item()
        peer = model.probabilities(model.decode(path.read_bytes())).argmax().item()
        name = str(path.relative_to(sys.argv[1]))
        labels[name] = {"reference": model.classes[reference], "torch": model.classes[peer]}
    json.dump(labels, sys.stdout)


if __name__ == "__main__":
    main()
