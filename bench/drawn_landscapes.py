"""Drawn landscapes of hills, a sun, trees and houses: a set of bench/near_copies.py."""

import numpy as np
from PIL import Image, ImageDraw

Rng = np.random.Generator
Colour = tuple[int, int, int]
HILLS = 3
THINGS = (4, 12)  # trees and houses of one picture


def landscape(number: int, seed: int = 0) -> Image.Image:
    """One RGB picture, 240 to 400 pixels wide; the same for the same number and seed."""
    rng = np.random.default_rng([seed, number])
    width = int(rng.integers(240, 401))
    height = int(width / rng.choice([1.0, 4 / 3, 1.5]))
    image = Image.new("RGB", (width, height), _colour(rng, 140, 256))
    draw = ImageDraw.Draw(image)
    _sun(draw, width, height, rng)
    for hill in range(HILLS):
        _hill(draw, width, height, 0.35 + 0.2 * hill, rng)
    for _ in range(int(rng.integers(*THINGS))):
        _thing(draw, width, height, rng)
    noise = rng.normal(0, 3, (height, width, 1))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def _colour(rng: Rng, low: int, high: int) -> Colour:
    red, green, blue = (int(level) for level in rng.integers(low, high, 3))
    return red, green, blue


def _sun(draw: ImageDraw.ImageDraw, width: int, height: int, rng: Rng) -> None:
    x = rng.uniform(0.1, 0.9) * width
    y = rng.uniform(0.05, 0.3) * height
    radius = rng.uniform(0.03, 0.09) * width
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), _colour(rng, 150, 256))


def _hill(draw: ImageDraw.ImageDraw, width: int, height: int, top: float, rng: Rng) -> None:
    across = np.linspace(0, 1, 60)
    line = top + 0.08 * np.sin(2 * np.pi * (rng.uniform(0.5, 2) * across + rng.random()))
    line += 0.04 * np.sin(2 * np.pi * (rng.uniform(2, 5) * across + rng.random()))
    points = [(float(x * width), float(y * height)) for x, y in zip(across, line, strict=True)]
    draw.polygon([*points, (width, height), (0, height)], _colour(rng, 30, 200))


def _thing(draw: ImageDraw.ImageDraw, width: int, height: int, rng: Rng) -> None:
    """A tree or a house."""
    x = rng.uniform(0.05, 0.95) * width
    y = rng.uniform(0.5, 0.95) * height
    size = rng.uniform(0.04, 0.12) * width
    if rng.random() < 0.5:
        draw.rectangle((x - size / 8, y - size, x + size / 8, y), _colour(rng, 30, 90))
        box = (x - size / 2, y - 1.8 * size, x + size / 2, y - 0.7 * size)
        draw.ellipse(box, _colour(rng, 20, 180))
    else:
        draw.rectangle((x - size / 2, y - size, x + size / 2, y), _colour(rng, 60, 256))
        roof = [(x - 0.6 * size, y - size), (x + 0.6 * size, y - size), (x, y - 1.6 * size)]
        draw.polygon(roof, _colour(rng, 30, 200))
