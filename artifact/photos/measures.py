"""What a camera and the light decide of a photo, as five numbers of its pixels.

They are taken from what the network sees, so a photo's size and its format do not matter. Each but
the brightness is free of it: a darker photo has the same contrast, saturation, warmth and
sharpness, up to rounding.
"""

import numpy as np
from numpy.typing import NDArray

# In the order of the columns, with the words that a page says of them.
MEASURES = {
    "brightness": "mean of the grey values, 0 to 255",
    "contrast": "spread of the grey values, as a share of their mean",
    "saturation": "how far the colours are from grey, 0 to 1",
    "warmth": "red minus blue, as a share of all light",
    "sharpness": "how much neighbouring pixels differ, free of contrast",
}
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
LEAST_LIGHT = 1.0  # of 255: where a share of less means nothing


def photo_measures(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32 [N, len(MEASURES)] of photos, uint8 [N, S, S, 3]."""
    found = np.empty((len(pixels), len(MEASURES)), np.float32)
    for place, photo in enumerate(pixels):
        found[place] = _of_one(photo.astype(np.float32))
    return found


def _of_one(photo: NDArray[np.float32]) -> list[float]:
    """Of one photo, float32 [S, S, 3], 0 to 255."""
    grey = photo @ GREY
    mean = max(float(grey.mean()), LEAST_LIGHT)
    deviation = float(grey.std())
    most = photo.max(axis=2)
    spread = most - photo.min(axis=2)
    saturation = float(spread.mean()) / max(float(most.mean()), LEAST_LIGHT)
    red, green, blue = (float(value) for value in photo.mean(axis=(0, 1)))
    warmth = (red - blue) / max(red + green + blue, LEAST_LIGHT)
    # Pertuz et al., Pattern Recognition 2013: the Laplacian is a good measure of focus.
    inner = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    edges = float(np.abs(4 * inner - around).mean()) if inner.size else 0.0
    return [
        float(grey.mean()),
        deviation / mean,
        saturation,
        warmth,
        edges / max(deviation, LEAST_LIGHT),
    ]
