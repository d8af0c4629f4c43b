"""What is behind a stick figure: walls, floors, things; and colours that stand out from them."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]  # red, green, blue: 0 to 255
Size = tuple[int, int]  # width and height in pixels
Rng = np.random.Generator
Pen = ImageDraw.ImageDraw

SKIN = [
    (141, 85, 36),
    (198, 134, 66),
    (224, 172, 105),
    (241, 194, 125),
    (255, 219, 172),
    (92, 58, 33),
]
HAIR = [
    (30, 24, 20),
    (74, 48, 30),
    (140, 96, 52),
    (196, 164, 106),
    (120, 120, 124),
]
KINDS = {  # and the share of pictures with each
    "plain": 0.25,
    "gradient": 0.25,
    "horizon": 0.3,
    "clutter": 0.2,
}
QUARTERS = [0, 90, 180, 270]  # degrees
STANDS_OUT = 60  # difference in at least one of the three channels


def clear_of(
    surrounding: npt.NDArray[np.uint8],
    rng: Rng,
    choices: list[Colour] | None = None,
) -> Colour:
    """A colour, of `choices` or any, that stands out from the picture's mean colour.

    Where none does, the first one that was drawn.
    """
    # int [N, 3]: the choices in random order, or any eight colours
    drawn = rng.permutation(choices) if choices else rng.integers(20, 236, (8, 3))
    mean = surrounding.astype(int)
    for colour in drawn:
        if np.abs(colour - mean).max() > STANDS_OUT:
            return _colour(colour)
    return _colour(drawn[0])


def background(canvas: Size, floor: float, rng: Rng) -> Image.Image:
    """A wall, some with a floor, things or a mat. floor: in pixels from the top."""
    shares = list(KINDS.values())
    kind = rng.choice(list(KINDS), p=shares)
    wall = _colour(rng.integers(90, 250, 3))
    second = _colour(rng.integers(90, 250, 3))
    image = Image.new("RGB", canvas, wall)
    if kind == "gradient":
        turn = float(rng.choice(QUARTERS))
        ramp = Image.linear_gradient("L").rotate(turn).resize(canvas)
        return Image.composite(image, Image.new("RGB", canvas, second), ramp)
    pen = ImageDraw.Draw(image)
    if kind == "clutter":
        for _ in range(int(rng.integers(4, 12))):
            _thing(pen, canvas, wall, rng)
    if kind != "plain":
        height = canvas[1]
        # The feet stand a little below the edge of the floor, which is always in the picture.
        horizon = floor - height * rng.uniform(0.02, 0.12)
        horizon = min(horizon, height * 0.97)
        pen.rectangle([0, horizon, *canvas], fill=second)
    if rng.random() < 0.5:
        _mat(pen, canvas, floor, rng)
    return image


def _mat(pen: Pen, canvas: Size, floor: float, rng: Rng) -> None:
    width, height = canvas
    left = width * rng.uniform(0, 0.15)
    right = width * rng.uniform(0.85, 1)
    colour = _colour(rng.integers(40, 230, 3))
    top = floor - height * 0.01
    bottom = floor + height * 0.03
    pen.rectangle([left, top, right, bottom], fill=colour)


def _thing(pen: Pen, canvas: Size, wall: Colour, rng: Rng) -> None:
    """A window, a ball or a lamp.

    It is near the wall's colour, so that the figure stays the strongest shape.
    """
    near_wall = np.array(wall) + rng.integers(-55, 56, 3)
    colour = _colour(np.clip(near_wall, 0, 255))
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


def _colour(values: npt.NDArray[np.int64]) -> Colour:
    red, green, blue = values
    return int(red), int(green), int(blue)
