"""slipway.export: the call at the end of a user's own training script.

It is in the training image, too, and loads nothing until it is called.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.own_artifact import own_artifact

if TYPE_CHECKING:
    import torch


# Any: a dict, or an object of torchvision or timm, neither of which is loaded here.
def export(
    network: "torch.nn.Module",
    classes: Sequence[str],
    preprocessing: Any,
    *,
    photos: "str | os.PathLike[str] | None" = None,
    directory: "str | os.PathLike[str] | None" = None,
    multi_label: bool = False,
) -> Path:
    """Write a trained network as the artifact that slipway-serve serves; returns its folder.

    network: from float32 [N, 3, S, S], RGB, normalised, to logits [N, classes], without softmax. It
    may be on any device and in any mode, is not changed, and may be wrapped by DataParallel.
    classes: a name for each output, in their order, such as ImageFolder's `classes`.
    preprocessing: from a photo to the network's input, in one of these forms:

    - a dict with `resize` (pixels of the shorter side), `crop` (pixels of a side of the square from
      the centre), and where they differ from ImageNet's `interpolation`, `mean` and `std` (three
      numbers each, of samples from 0 to 1); `squeeze` is true where both sides become `resize`
    - torchvision's `weights.transforms()`, or a Compose of Resize(side), CenterCrop(side),
      ToTensor() and Normalize(mean, std): those of the validation, without augmentation;
      Resize((side, side)) squeezes
    - timm's `resolve_data_config(...)` or `pretrained_cfg`

    photos: a folder with a folder of photos for each class. The artifact is checked on them, and
    int8 is calibrated and judged, which takes 100 photos or more. Without it the job's own channels
    are looked at (SM_CHANNEL_VALIDATION first), else random pixels, without an int8 model.
    directory: SM_MODEL_DIR, or /opt/ml/model, by default. multi_label: a photo may have several
    classes; sigmoid in place of softmax.

    Writes model.json, model.onnx and model.safetensors, and model.int8.xml with .bin where int8
    passes its gate. Loads torch and OpenVINO. Raises ExportError, and leaves no artifact then;
    OSError when the folder cannot take the files.
    """
    folder = Path(directory or os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    with own_artifact():
        from slipway.exporting import Wanted, export_network

        wanted = Wanted(classes, preprocessing, multi_label)
        return export_network(network, wanted, Path(photos) if photos else None, folder)
