"""A stick figure: its joints for a pose, their place in a picture, and the strokes between them."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from local_test.scene import HAIR, SKIN, Colour, Pen, Rng, Size, clear_of

Point = npt.NDArray[np.float64]  # (2,): x and y
Joints = dict[str, Point]

JITTER_DEGREES = 7.0
# Directions in degrees, counter-clockwise from the picture's right, each from the joint nearer the
# pelvis to the next: torso, neck, then (upper, lower) of each limb.
LIMBS = (("near", "arm"), ("far", "arm"), ("near", "leg"), ("far", "leg"))
POSES: dict[str, tuple[int, int, tuple[tuple[int, int], ...]]] = {
    "chair": (62, 70, ((64, 66), (54, 58), (350, 252), (344, 248))),
    "downward_dog": (222, 238, ((226, 224), (219, 221), (298, 296), (308, 303))),
    "tree": (90, 90, ((66, 106), (114, 74), (270, 270), (326, 204))),
    "triangle": (16, 12, ((272, 270), (92, 90), (300, 298), (240, 242))),
    "warrior": (90, 90, ((2, 0), (178, 180), (338, 266), (212, 210))),
}
START = {"arm": "shoulder", "leg": "pelvis"}  # by limb: the joint that it hangs from


def skeleton(pose: str, rng: Rng) -> Joints:
    """Joint positions, x to the right and y up, in torso lengths from the pelvis."""

    def step(start: Point, degrees: float, length: float, spread: float = 0.08) -> Point:
        jitter = rng.normal(0, JITTER_DEGREES)
        angle = np.radians(degrees + jitter)
        direction = np.array([np.cos(angle), np.sin(angle)])
        drawn = length * (1 + rng.normal(0, spread))
        moved: Point = start + drawn * direction
        return moved

    torso, neck, limbs = POSES[pose]
    joints: Joints = {"pelvis": np.zeros(2)}
    joints["shoulder"] = step(joints["pelvis"], torso, 1.0)
    joints["head"] = step(joints["shoulder"], neck, 0.42)
    # Lengths of the upper and the lower part, in torso lengths.
    lengths = {
        "arm": rng.uniform(0.48, 0.66),
        "leg": rng.uniform(0.72, 0.96),
    }
    for (side, limb), (upper, lower) in zip(LIMBS, limbs, strict=True):
        start = joints[START[limb]]
        length = lengths[limb]
        middle = step(start, upper, length, 0.03)
        joints[f"{side}_{limb}_middle"] = middle
        joints[f"{side}_{limb}_end"] = step(middle, lower, length, 0.03)
    return joints


def placed(joints: Joints, canvas: Size, rng: Rng) -> tuple[Joints, float]:
    """The joints in pixels (y down), and the pixels of a torso.

    They are mirrored, squeezed, tilted and moved at random.
    """
    points = np.array(list(joints.values()))  # float64 [joints, 2]
    squeeze = rng.uniform(0.85, 1.1)
    mirror = rng.choice([-1, 1])
    points[:, 0] *= squeeze * mirror
    tilt = np.radians(rng.normal(0, 3))
    sine = np.sin(tilt)
    cosine = np.cos(tilt)
    points = points @ np.array([[cosine, sine], [-sine, cosine]])  # a rotation
    points[:, 1] *= -1  # y counts downwards from here on
    # 0.25 of a torso on each side, for the head and the limbs' width
    low = points.min(axis=0) - 0.25
    high = points.max(axis=0) + 0.25
    size = high - low
    fitting = min(np.array(canvas) / size)
    unit = float(fitting * rng.uniform(0.62, 0.95))
    room = np.array(canvas) - size * unit
    corner = room * rng.uniform(0.1, 0.9, 2)
    points = (points - low) * unit + corner
    return dict(zip(joints, points, strict=True)), unit


def draw_figure(image: Image.Image, joints: Joints, unit: float, rng: Rng) -> None:
    """Draw the figure into the picture; the far limbs first, the near arm last."""
    pen = ImageDraw.Draw(image)
    mean = image.resize((1, 1), Image.Resampling.BOX)  # BOX averages all pixels
    surrounding = np.asarray(mean)[0, 0]
    skin = clear_of(surrounding, rng, SKIN)
    hair = clear_of(surrounding, rng, HAIR)
    shirt = clear_of(surrounding, rng)
    trousers = clear_of(surrounding, rng)
    thickness = unit * rng.uniform(0.13, 0.21)
    sleeve = skin
    if rng.random() < 0.4:
        sleeve = shirt
    trouser_leg = skin
    if rng.random() < 0.6:
        trouser_leg = trousers
    shades = {"near": 1.0, "far": rng.uniform(0.72, 0.95)}  # the far ones in the body's shadow

    def limb(side: str, kind: str, upper: Colour, lower: Colour, scale: float) -> None:
        shade = shades[side]
        width = thickness * scale
        start = joints[START[kind]]
        middle = joints[f"{side}_{kind}_middle"]
        end = joints[f"{side}_{kind}_end"]
        _stroke(pen, middle, end, width * 0.8, _shaded(lower, shade))
        _dot(pen, end, width * 0.55, _shaded(skin, shade))
        _stroke(pen, start, middle, width, _shaded(upper, shade))

    limb("far", "arm", shirt, sleeve, 0.72)
    limb("far", "leg", trousers, trouser_leg, 1.0)
    shoulder = joints["shoulder"]
    _stroke(pen, shoulder, joints["head"], thickness * 0.7, skin)
    torso = thickness * rng.uniform(1.3, 1.8)
    _stroke(pen, joints["pelvis"], shoulder, torso, shirt)
    limb("near", "leg", trousers, trouser_leg, 1.0)
    radius = unit * rng.uniform(0.19, 0.25)
    bun = rng.random() < 0.5
    _head(pen, joints, radius, skin, hair, bun)
    limb("near", "arm", shirt, sleeve, 0.72)


def _head(pen: Pen, joints: Joints, radius: float, skin: Colour, hair: Colour, bun: bool) -> None:
    up = joints["head"] - joints["shoulder"]
    length = float(np.linalg.norm(up))
    up = up / max(length, 1e-6) * radius
    centre = joints["head"]
    if bun:
        _dot(pen, centre + up * 1.1, radius * 0.45, hair)
    # The hair is a disc that the face covers but for its upper edge.
    _dot(pen, centre + up * 0.14, radius * 1.06, hair)
    _dot(pen, centre - up * 0.12, radius * 0.92, skin)


def _stroke(pen: Pen, start: Point, end: Point, width: float, colour: Colour) -> None:
    pixels = max(1, round(width))
    ends = _numbers(start, end)
    pen.line(ends, fill=colour, width=pixels)
    _dot(pen, start, width / 2, colour)
    _dot(pen, end, width / 2, colour)


def _dot(pen: Pen, centre: Point, radius: float, colour: Colour) -> None:
    box = _numbers(centre - radius, centre + radius)
    pen.ellipse(box, fill=colour)


def _numbers(*points: Iterable[float]) -> list[float]:
    """The coordinates of points, one after the other, as Pillow takes them."""
    numbers: list[float] = []
    for point in points:
        numbers.extend(point)
    return numbers


def _shaded(colour: Colour, factor: float) -> Colour:
    red, green, blue = colour
    return int(red * factor), int(green * factor), int(blue * factor)
