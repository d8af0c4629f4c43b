"""Photos that the serving bench draws itself: 500x375 JPEGs of 133 classes, 19 hues by 7 patterns, no two alike.

Hue, contrast, size and place of the pattern vary, with blotches and grain over all: a network learns them in minutes, not perfectly.
"""

import io
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (500, 375)
HUES = 19
PATTERNS = (
    "rows",
    "columns",
    "chequers",
    "dots",
    "rings",
    "lattice",
    "blobs",
)  # a mirrored photo keeps its class
QUALITY = 75
HUE_SPREAD = 0.20  # of the step from one hue to the next, standard deviation


def class_names() -> list[str]:
    return [f"hue{hue:02d}_{pattern}" for hue in range(HUES) for pattern in PATTERNS]


def draw_set(folder: Path, photos_per_class: int, seed: int) -> int:
    """Draw folder/<class>/<number>.jpg; how many photos that makes."""
    names = [(name, number) for name in class_names() for number in range(photos_per_class)]
    for name in class_names():
        (folder / name).mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(_write, folder, seed), names, chunksize=16))
    return len(names)


def _write(folder: Path, seed: int, which: tuple[str, int]) -> None:
    name, number = which
    (folder / name / f"{number:03d}.jpg").write_bytes(draw(name, number, seed))


def draw(name: str, number: int, seed: int) -> bytes:
    """The JPEG of one photo; the same arguments give the same photo."""
    hue, pattern = int(name[3:5]), name.partition("_")[2]
    rng = np.random.default_rng([seed, number, hue, PATTERNS.index(pattern)])
    angle = 2 * np.pi * (hue + rng.normal(0, HUE_SPREAD)) / HUES
    colour = 0.5 + rng.uniform(0.26, 0.36) * np.cos(angle - np.array([0, 2, 4]) * np.pi / 3)
    light = rng.uniform(0.75, 1.1) + rng.uniform(0.10, 0.22) * rng.choice([-1, 1]) * _pattern(
        pattern, rng
    )
    light = light + 0.10 * _blotches(rng, 60)
    grain = rng.normal(0, 0.03, (SIZE[1], SIZE[0], 1))
    samples = np.clip((colour * light[..., None] + grain) * 255, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _pattern(kind: str, rng: np.random.Generator) -> np.ndarray:
    """-1..1, float [H, W]."""
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]].astype(np.float32)
    period = rng.uniform(36, 64)  # pixels
    x, y = (x + rng.uniform(0, period)) / period, (y + rng.uniform(0, period)) / period
    wave_x, wave_y = np.sin(2 * np.pi * x), np.sin(2 * np.pi * y)
    match kind:
        case "rows":
            return np.tanh(3 * wave_y)
        case "columns":
            return np.tanh(3 * wave_x)
        case "chequers":
            return np.tanh(6 * wave_x * wave_y)
        case "dots":
            return np.tanh(6 * ((x % 1 - 0.5) ** 2 + (y % 1 - 0.5) ** 2 - 0.07) / 0.1)
        case "rings":
            centre = rng.uniform(0.3, 0.7, 2) * [x.max(), y.max()]
            return np.tanh(3 * np.sin(2 * np.pi * np.hypot(x - centre[0], y - centre[1])))
        case "lattice":
            return np.tanh(
                4 * (np.abs(np.sin(np.pi * (x + y))) * np.abs(np.sin(np.pi * (x - y))) - 0.3)
            )
        case _:
            return np.tanh(3 * _blotches(rng, period))


def _blotches(rng: np.random.Generator, period: float) -> np.ndarray:
    """Smooth noise of about unit deviation, float [H, W]; period in pixels."""
    coarse = rng.normal(
        0, 1.4, (int(SIZE[1] / period * 2) + 2, int(SIZE[0] / period * 2) + 2)
    ).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC))
