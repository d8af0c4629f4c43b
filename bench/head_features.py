"""python -m bench.head_features --data FOLDER: which features a solved head should learn from.

EfficientNet-Lite0's with ImageNet weights, of a folder of photos: in float32, in bfloat16, averaged
with those of the mirror image, and with the mirror images as more training photos. Each seed splits
the photos anew; all ways solve their head on the same split. The table has the mean accuracy on the
test photos, and the mean difference to float32 with its standard error.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from bench.accuracy.features import Backbone, pictures_of
from bench.linear_head import Parts, solved, split
from bench.told_to_stop import until_told

SEEDS = 15
PLAIN = "float32"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.head_features", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="photos, one folder per class")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    backbone = Backbone()
    pictures, numbers = pictures_of(options.data, backbone)
    labels = torch.from_numpy(numbers)
    plain = backbone.features(pictures)
    mirror = backbone.features(pictures, mirrored=True)
    ways = {
        PLAIN: plain,
        "bfloat16": backbone.features(pictures, torch.bfloat16),
        "mean with the mirror image": (plain + mirror) / 2,
    }
    found: dict[str, list[float]] = {}
    with until_told():
        for seed in range(options.seeds):
            places = split(labels, seed)
            for name, rows in ways.items():
                parts = {part: (rows[own], labels[own]) for part, own in places.items()}
                found.setdefault(name, []).append(solved(parts).accuracy)
            more = with_mirror(plain, mirror, labels, places)
            found.setdefault("mirror images as more photos", []).append(solved(more).accuracy)
            print(f"head-features: seed {seed} of {options.seeds} done", flush=True)
    print(table(found))


def with_mirror(
    plain: torch.Tensor,
    mirror: torch.Tensor,
    labels: torch.Tensor,
    places: dict[str, torch.Tensor],
) -> Parts:
    """Each training photo twice, once mirrored; the others as they are."""
    parts = {name: (plain[own], labels[own]) for name, own in places.items()}
    train = places["train"]
    twice = torch.cat([labels[train], labels[train]])
    parts["train"] = (torch.cat([plain[train], mirror[train]]), twice)
    return parts


def table(found: dict[str, list[float]]) -> str:
    """As Markdown; the accuracies of each way, seed by seed."""
    lines = ["| features | test accuracy | beside float32 |", "|---|---:|---:|"]
    for name, values in found.items():
        count = min(len(values), len(found[PLAIN]))
        beside = np.array(values[:count]) - np.array(found[PLAIN][:count])
        error = beside.std() / count**0.5
        lines.append(f"| {name} | {np.mean(values):.4f} | {beside.mean():+.4f} ± {error:.4f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
