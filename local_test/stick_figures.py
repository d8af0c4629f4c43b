"""Draws labelled photos of five yoga poses as stick figures, with the awkward files that real photo folders hold.

    python -m local_test.stick_figures DST [--photos-per-class 60] [--seed 0]

The same seed draws the same bytes. It knows nothing of preparing or training.
"""

import argparse
import io
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

FEWEST_PHOTOS = 3  # a class with fewer cannot be in all three parts of a split
SUPERSAMPLING = 3
JITTER_DEGREES = 7.0

# Directions in degrees, counter-clockwise from the picture's right, each from the joint nearer the pelvis to the next:
# torso, neck, then (upper, lower) of near arm, far arm, near leg, far leg.
POSES = {
    "chair": (62, 70, (64, 66), (54, 58), (350, 252), (344, 248)),
    "downward_dog": (222, 238, (226, 224), (219, 221), (298, 296), (308, 303)),
    "tree": (90, 90, (66, 106), (114, 74), (270, 270), (326, 204)),
    "triangle": (16, 12, (272, 270), (92, 90), (300, 298), (240, 242)),
    "warrior": (90, 90, (2, 0), (178, 180), (338, 266), (212, 210)),
}
PALETTE = {
    "skin": [
        (141, 85, 36),
        (198, 134, 66),
        (224, 172, 105),
        (241, 194, 125),
        (255, 219, 172),
        (92, 58, 33),
    ],
    "hair": [(30, 24, 20), (74, 48, 30), (140, 96, 52), (196, 164, 106), (120, 120, 124)],
}


def draw(destination: Path, photos_per_class: int = 60, seed: int = 0) -> int:
    """Draws `photos_per_class` photos of each pose, one exact copy and one broken file; returns the count of files.

    Files that hold the right bytes already are left alone. ValueError if `destination` holds any other file.
    """
    if photos_per_class < FEWEST_PHOTOS:
        raise ValueError(
            f"photos_per_class must be at least {FEWEST_PHOTOS}, found {photos_per_class}"
        )
    destination = Path(destination)
    drawings = dict(_drawings(photos_per_class, seed))
    for path in sorted(destination.rglob("*")) if destination.exists() else ():
        name = path.relative_to(destination).as_posix()
        if not path.is_dir() and name not in drawings:
            raise ValueError(
                f"'{destination}' holds '{name}', which is not of this set: give a new folder or empty it"
            )
    for name, drawing in drawings.items():
        _write(destination / name, drawing())
    return len(drawings)


def picture(pose: str, number: int, seed: int = 0) -> Image.Image:
    """One RGB picture, 160 to 320 pixels on its longer side; the same for the same (pose, number, seed)."""
    rng = np.random.default_rng([seed, sorted(POSES).index(pose), number])
    width, height = _size(rng)
    canvas = (width * SUPERSAMPLING, height * SUPERSAMPLING)
    joints, unit = _placed(_skeleton(pose, rng), canvas, rng)
    image = _background(canvas, max(y for _, y in joints.values()), rng)
    _figure(image, joints, unit, rng)
    image = image.resize((width, height), Image.Resampling.BOX)
    grain = rng.normal(0, rng.uniform(1, 6), (height, width, 1))
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


def _drawings(photos_per_class: int, seed: int) -> Iterator[tuple[str, Callable[[], bytes]]]:
    poses = sorted(POSES)
    awkward = {(poses[n % len(poses)], n // len(poses)): kind for n, kind in enumerate(AWKWARD)}
    for pose in poses:
        for number in range(photos_per_class):
            pattern, encode = awkward.get((pose, number), ("{pose}_{number:03d}.jpg", _jpeg))
            yield (
                f"{pose}/{pattern.format(pose=pose, number=number)}",
                partial(_drawn, pose, number, seed, encode),
            )
    last = photos_per_class - 1
    yield (
        f"{poses[0]}/copy of {poses[0]}_{last:03d}.jpg",
        partial(_drawn, poses[0], last, seed, _jpeg),
    )
    yield (
        f"{poses[1]}/{poses[1]}_broken.jpg",
        partial(_drawn, poses[1], photos_per_class, seed, _truncated),
    )


def _drawn(pose: str, number: int, seed: int, encode: Callable[[Image.Image], bytes]) -> bytes:
    return encode(picture(pose, number, seed))


def _write(path: Path, data: bytes) -> None:
    if path.exists() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.partial")
    temporary.write_bytes(data)
    os.replace(temporary, path)


# --- the body ---


def _size(rng: np.random.Generator) -> tuple[int, int]:
    longer = int(rng.integers(160, 321))
    shorter = int(longer / rng.choice([1.0, 1.25, 4 / 3, 1.5]))
    return (longer, shorter) if rng.random() < 0.5 else (shorter, longer)


def _skeleton(pose: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Joint positions, x to the right and y up, in torso lengths from the pelvis."""

    def step(start: np.ndarray, degrees: float, length: float, spread: float = 0.08) -> np.ndarray:
        angle = np.radians(degrees + rng.normal(0, JITTER_DEGREES))
        return start + length * (1 + rng.normal(0, spread)) * np.array(
            [np.cos(angle), np.sin(angle)]
        )

    torso, neck, *limbs = POSES[pose]
    joints = {"pelvis": np.zeros(2)}
    joints["shoulder"] = step(joints["pelvis"], torso, 1.0)
    joints["head"] = step(joints["shoulder"], neck, 0.42)
    lengths = {"arm": rng.uniform(0.48, 0.66), "leg": rng.uniform(0.72, 0.96)}
    for (side, limb), (upper, lower) in zip(_limbs(), limbs, strict=True):
        middle = step(joints["shoulder" if limb == "arm" else "pelvis"], upper, lengths[limb], 0.03)
        joints[f"{side}_{limb}_middle"] = middle
        joints[f"{side}_{limb}_end"] = step(middle, lower, lengths[limb], 0.03)
    return joints


def _limbs() -> list[tuple[str, str]]:
    return [("near", "arm"), ("far", "arm"), ("near", "leg"), ("far", "leg")]


def _placed(
    joints: dict[str, np.ndarray], canvas: tuple[int, int], rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], float]:
    """The joints in pixels (y down), mirrored, squeezed, tilted and moved at random, and the pixels of a torso."""
    points = np.array(list(joints.values()))
    points[:, 0] *= rng.uniform(0.85, 1.1) * rng.choice([-1, 1])
    tilt = np.radians(rng.normal(0, 3))
    points = points @ np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    points[:, 1] *= -1
    low, high = (
        points.min(axis=0) - 0.25,
        points.max(axis=0) + 0.25,
    )  # room for the head and the limbs' width
    unit = min(np.array(canvas) / (high - low)) * rng.uniform(0.62, 0.95)
    room = np.array(canvas) - (high - low) * unit
    points = (points - low) * unit + room * rng.uniform(0.1, 0.9, 2)
    return dict(zip(joints, points, strict=True)), unit


def _figure(
    image: Image.Image, joints: dict[str, np.ndarray], unit: float, rng: np.random.Generator
) -> None:
    pen = ImageDraw.Draw(image)
    surrounding = np.asarray(image.resize((1, 1), Image.Resampling.BOX))[0, 0]
    skin, hair = (_clear_of(surrounding, rng, PALETTE[name]) for name in ("skin", "hair"))
    shirt, trousers = _clear_of(surrounding, rng), _clear_of(surrounding, rng)
    thickness = unit * rng.uniform(0.13, 0.21)
    sleeve, trouser_leg = (
        (shirt if rng.random() < 0.4 else skin),
        (trousers if rng.random() < 0.6 else skin),
    )
    darker = rng.uniform(0.72, 0.95)  # the far limbs lie in the body's shadow

    def limb(side: str, kind: str, upper: tuple, lower: tuple, scale: float) -> None:
        shade = darker if side == "far" else 1.0
        start = joints["shoulder" if kind == "arm" else "pelvis"]
        middle, end = joints[f"{side}_{kind}_middle"], joints[f"{side}_{kind}_end"]
        _stroke(pen, middle, end, thickness * scale * 0.8, _shaded(lower, shade))
        _dot(pen, end, thickness * scale * 0.55, _shaded(skin, shade))
        _stroke(pen, start, middle, thickness * scale, _shaded(upper, shade))

    limb("far", "arm", shirt, sleeve, 0.72)
    limb("far", "leg", trousers, trouser_leg, 1.0)
    _stroke(pen, joints["shoulder"], joints["head"], thickness * 0.7, skin)
    _stroke(pen, joints["pelvis"], joints["shoulder"], thickness * rng.uniform(1.3, 1.8), shirt)
    limb("near", "leg", trousers, trouser_leg, 1.0)
    _head(pen, joints, unit * rng.uniform(0.19, 0.25), skin, hair, rng)
    limb("near", "arm", shirt, sleeve, 0.72)


def _head(
    pen: ImageDraw.ImageDraw, joints: dict, radius: float, skin: tuple, hair: tuple, rng
) -> None:
    up = joints["head"] - joints["shoulder"]
    up = up / max(np.linalg.norm(up), 1e-6)
    centre = joints["head"]
    if rng.random() < 0.5:  # a bun
        _dot(pen, centre + up * radius * 1.1, radius * 0.45, hair)
    _dot(pen, centre + up * radius * 0.14, radius * 1.06, hair)
    _dot(pen, centre - up * radius * 0.12, radius * 0.92, skin)


def _stroke(
    pen: ImageDraw.ImageDraw, start: np.ndarray, end: np.ndarray, width: float, colour: tuple
) -> None:
    pen.line([*start, *end], fill=colour, width=max(1, round(width)))
    _dot(pen, start, width / 2, colour)
    _dot(pen, end, width / 2, colour)


def _dot(pen: ImageDraw.ImageDraw, centre: np.ndarray, radius: float, colour: tuple) -> None:
    pen.ellipse([*(centre - radius), *(centre + radius)], fill=colour)


# --- colours and backgrounds ---


def _clear_of(
    surrounding: np.ndarray, rng: np.random.Generator, choices: list | None = None
) -> tuple:
    """A colour, of `choices` or any, that stands out from the picture's mean colour where one can be found."""
    drawn = rng.permutation(choices) if choices else rng.integers(20, 236, (8, 3))
    far = [colour for colour in drawn if np.abs(colour - surrounding.astype(int)).max() > 60]
    return tuple(int(value) for value in (far or list(drawn))[0])


def _shaded(colour: tuple, factor: float) -> tuple:
    return tuple(int(value * factor) for value in colour)


def _background(canvas: tuple[int, int], floor: float, rng: np.random.Generator) -> Image.Image:
    kind = rng.choice(["plain", "gradient", "horizon", "clutter"], p=[0.25, 0.25, 0.3, 0.2])
    first, second = (tuple(int(v) for v in rng.integers(90, 250, 3)) for _ in range(2))
    if kind == "gradient":
        ramp = (
            Image.linear_gradient("L").rotate(float(rng.choice([0, 90, 180, 270]))).resize(canvas)
        )
        return Image.composite(
            Image.new("RGB", canvas, first), Image.new("RGB", canvas, second), ramp
        )
    image = Image.new("RGB", canvas, first)
    pen = ImageDraw.Draw(image)
    if kind == "clutter":
        for _ in range(int(rng.integers(4, 12))):
            _thing(pen, canvas, first, rng)
    if kind != "plain":
        horizon = min(floor - canvas[1] * rng.uniform(0.02, 0.12), canvas[1] * 0.97)
        pen.rectangle([0, horizon, *canvas], fill=second)
    if rng.random() < 0.5:  # a mat
        left, right = canvas[0] * rng.uniform(0, 0.15), canvas[0] * rng.uniform(0.85, 1)
        colour = tuple(int(v) for v in rng.integers(40, 230, 3))
        pen.rectangle(
            [left, floor - canvas[1] * 0.01, right, floor + canvas[1] * 0.03], fill=colour
        )
    return image


def _thing(
    pen: ImageDraw.ImageDraw, canvas: tuple[int, int], wall: tuple, rng: np.random.Generator
) -> None:
    """A window, a ball, a lamp: near the wall's colour, so that the figure stays the strongest shape."""
    colour = tuple(int(v) for v in np.clip(np.array(wall) + rng.integers(-55, 56, 3), 0, 255))
    corner = rng.uniform(-0.1, 0.9, 2) * canvas
    far = corner + rng.uniform(0.06, 0.4, 2) * canvas
    box = [*corner, *far]
    match rng.integers(3):
        case 0:
            pen.rectangle(box, fill=colour)
        case 1:
            pen.ellipse(box, fill=colour)
        case _:
            pen.line(box, fill=colour, width=int(rng.integers(3, 14)))


# --- encodings ---


def _encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _jpeg(image: Image.Image) -> bytes:
    return _encoded(image, "JPEG", quality=88)


def _png_with_alpha(image: Image.Image) -> bytes:
    vignette = (
        Image.radial_gradient("L")
        .resize(image.size)
        .point(lambda v: 255 if v < 200 else 2 * (255 - v))
    )
    image.putalpha(vignette)
    return _encoded(image, "PNG")


def _sideways(image: Image.Image) -> bytes:
    """Stored a quarter turn off, with the tag that tells a reader to turn it back, as phones do."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return _encoded(image.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=88, exif=exif)


def _truncated(image: Image.Image) -> bytes:
    data = _jpeg(image)
    return data[: len(data) // 2]


AWKWARD = [  # one of each kind; the pattern of its name, and how it is encoded
    ("{pose}_{number:03d}.png", _png_with_alpha),
    (
        "{pose}_{number:03d} grey.jpg",
        lambda image: _encoded(image.convert("L"), "JPEG", quality=88),
    ),
    (
        "{pose}_{number:03d}_cmyk.jpg",
        lambda image: _encoded(image.convert("CMYK"), "JPEG", quality=90),
    ),
    ("{pose}_{number:03d}_sideways.jpg", _sideways),
    ("{pose}_{number:03d}_palette.png", lambda image: _encoded(image.quantize(128), "PNG")),
    ("{pose}_{number:03d}_webp.jpg", lambda image: _encoded(image, "WEBP", quality=88)),
    ("{pose} {number:03d} (my photo).jpg", _jpeg),
]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m local_test.stick_figures", description=__doc__.splitlines()[0]
    )
    parser.add_argument("destination", metavar="DST", help="folder to draw into: DST/<pose>/…")
    parser.add_argument("--photos-per-class", type=int, default=60, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    options = parser.parse_args()
    try:
        count = draw(Path(options.destination), options.photos_per_class, options.seed)
    except (ValueError, OSError) as error:
        print(f"stick_figures: {error}", file=sys.stderr)
        return 1
    print(f"stick_figures: files={count} poses={len(POSES)} folder={options.destination}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
