"""Photos that the benches draw: 500x375 JPEGs of 133 classes, 19 hues by 7 patterns, no two alike.

Hue, contrast, size and place of the pattern vary, with blotches and grain over all: a network
learns them in minutes, not perfectly.
"""

import io
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH = 500
HEIGHT = 375
HUES = 19
# Mirroring changes none of them: training may flip photos.
PATTERNS = ("rows", "columns", "chequers", "dots", "rings", "lattice", "blobs")
QUALITY = 75
PHONE = (4032, 3024)  # width and height of a phone's photo: 12 megapixels
PHONES = 6
PHONE_QUALITY = 90
HUE_SPREAD = 0.20  # of the step from one hue to the next, standard deviation

Floats = NDArray[np.floating]
Rng = np.random.Generator


def class_names() -> list[str]:
    names = []
    for hue in range(HUES):
        names += [f"hue{hue:02d}_{pattern}" for pattern in PATTERNS]
    return names


def draw_set(folder: Path, photos_per_class: int, seed: int) -> int:
    """Draw folder/<class>/<number>.jpg; the number of photos drawn."""
    photos = []
    for name in class_names():
        (folder / name).mkdir(parents=True, exist_ok=True)
        photos += [(name, number) for number in range(photos_per_class)]
    with ProcessPoolExecutor() as pool:
        write = partial(_write, folder, seed)
        list(pool.map(write, photos, chunksize=16))  # list: the first error is raised here
    return len(photos)


def draw_phones(folder: Path) -> Path:
    """The folder, with a few photos as large as a phone's, each of another class."""
    if folder.is_dir():
        return folder
    unfinished = folder.with_name(f"{folder.name}.part")
    unfinished.mkdir(parents=True, exist_ok=True)
    names = class_names()
    for number in range(PHONES):
        small = Image.open(io.BytesIO(draw(names[number * 20], number, seed=5)))
        large = small.resize(PHONE, Image.Resampling.BICUBIC)
        large.save(unfinished / f"{number}.jpg", quality=PHONE_QUALITY)
    unfinished.rename(folder)
    return folder


def _write(folder: Path, seed: int, photo: tuple[str, int]) -> None:
    name, number = photo
    path = folder / name / f"{number:03d}.jpg"
    path.write_bytes(draw(name, number, seed))


def draw(name: str, number: int, seed: int) -> bytes:
    """The JPEG of one photo; the same arguments give the same photo."""
    hue = int(name[3:5])
    pattern = name.partition("_")[2]
    kind = PATTERNS.index(pattern)
    rng = np.random.default_rng([seed, number, hue, kind])
    blurred = hue + rng.normal(0, HUE_SPREAD)
    angle = 2 * np.pi * blurred / HUES
    # red, green and blue lie a third of a turn apart
    turns = angle - np.array([0, 2, 4]) * np.pi / 3
    colour = 0.5 + rng.uniform(0.26, 0.36) * np.cos(turns)  # float [3]
    brightness = rng.uniform(0.75, 1.1)
    contrast = rng.uniform(0.10, 0.22)
    contrast *= rng.choice([-1, 1])  # lighter or darker than its surroundings
    drawn = contrast * _pattern(pattern, rng)
    light = brightness + drawn + 0.10 * _blotches(rng, 60)  # float [H, W]
    grain = rng.normal(0, 0.03, (HEIGHT, WIDTH, 1))
    photo = colour * light[..., None] + grain
    samples = np.clip(photo * 255, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _pattern(kind: str, rng: Rng) -> Floats:
    """A pattern of random size and place, -1..1, float [H, W]."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    period = rng.uniform(36, 64)  # pixels
    x = (columns + rng.uniform(0, period)) / period
    y = (rows + rng.uniform(0, period)) / period
    wave_x = np.sin(2 * np.pi * x)
    wave_y = np.sin(2 * np.pi * y)
    wave: Floats
    if kind == "rows":
        wave = 3 * wave_y
    elif kind == "columns":
        wave = 3 * wave_x
    elif kind == "chequers":
        wave = 6 * wave_x * wave_y
    elif kind == "dots":
        across = x % 1 - 0.5  # from the nearest dot's centre
        down = y % 1 - 0.5
        distance = across**2 + down**2  # squared
        wave = 6 * (distance - 0.07) / 0.1
    elif kind == "rings":
        centre_x, centre_y = rng.uniform(0.3, 0.7, 2) * [x.max(), y.max()]
        radius = np.hypot(x - centre_x, y - centre_y)
        wave = 3 * np.sin(2 * np.pi * radius)
    elif kind == "lattice":
        rising = np.abs(np.sin(np.pi * (x + y)))
        falling = np.abs(np.sin(np.pi * (x - y)))
        wave = 4 * (rising * falling - 0.3)
    else:
        wave = 3 * _blotches(rng, period)
    return np.asarray(np.tanh(wave))


def _blotches(rng: Rng, period: float) -> Floats:
    """Smooth noise of about unit deviation, float [H, W]. period: pixels."""
    # Two values for each period, and one more beyond each edge.
    rows = int(HEIGHT / period * 2) + 2
    columns = int(WIDTH / period * 2) + 2
    coarse = rng.normal(0, 1.4, (rows, columns)).astype(np.float32)
    image = Image.fromarray(coarse)
    smooth = image.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    return np.asarray(smooth)
