"""The numbers behind random views, one chance at a time.

A chance of 0 draws the low bound of a random number, 0.5 its middle, and 1 the high one.
"""

import math
from functools import partial

import numpy as np
import pytest
import torch

from train.data.augmentation import PRESETS, Preset, augment, numbers

# the place of each chance among a photo's numbers
AREA = 0
ASPECT = 1
X = 2
Y = 3
MIRROR = 4
ANGLE = 5
SHEAR = 6
HUE = 7
SATURATION = 8
LIGHTNESS = 9
ERASED = 7  # without colours: centre, half sizes and choice follow the shear

# a preset of crops that are the whole photo
whole = partial(Preset, area=(1.0, 1.0), aspect=(1.0, 1.0))
SIDE = 64


def chances(given: dict[int, float]) -> torch.Tensor:
    """The numbers of one photo, 0.5 where none is given."""
    row = torch.full((1, 15), 0.5)
    for place, value in given.items():
        row[0, place] = value
    return row


def seen_map(preset: Preset, given: dict[int, float], aspect: float = 1.0) -> np.ndarray:
    """The affine map [2, 3] from a view's coordinates to its photo's, both -1..1.

    It is read off a photo whose red is its column and whose green is its row.
    """
    place = torch.arange(SIDE, dtype=torch.uint8)
    photo = torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8)
    photo[0, :, :, 0] = place[None, :]
    photo[0, :, :, 1] = place[:, None]
    view = augment(photo, torch.tensor([aspect]), SIDE, preset, chances(given))[0].numpy()
    found = (2 * view[:2].reshape(2, -1) + 1) / SIDE - 1
    steps = (2 * np.arange(SIDE) + 1) / SIDE - 1
    x, y = np.meshgrid(steps, steps)
    wanted = np.stack([x.ravel(), y.ravel(), np.ones(SIDE * SIDE)], axis=1)
    inner = np.abs(wanted[:, :2]).max(axis=1) < 0.25  # outside, a view may be reflected
    solution, *_ = np.linalg.lstsq(wanted[inner], found[:, inner].T, rcond=None)
    return solution.T


HALF = math.sqrt(0.5)
MAPS = [
    # the whole photo as it is
    (whole(), {}, 1.0, [[1, 0, 0], [0, 1, 0]]),
    # a mirrored view for the chances below one half
    (whole(), {MIRROR: 0.49}, 1.0, [[-1, 0, 0], [0, 1, 0]]),
    # half, three quarters and all of the area
    (Preset(aspect=(1.0, 1.0)), {AREA: 0.0}, 1.0, [[HALF, 0, 0], [0, HALF, 0]]),
    (Preset(aspect=(1.0, 1.0)), {}, 1.0, [[math.sqrt(0.75), 0, 0], [0, math.sqrt(0.75), 0]]),
    # a quarter of the area, in the corners of the photo
    (
        Preset(area=(0.25, 1.0), aspect=(1.0, 1.0)),
        {AREA: 0.0, X: 0.0, Y: 1.0},
        1.0,
        [[0.5, 0, -0.5], [0, 0.5, 0.5]],
    ),
    (
        Preset(area=(0.25, 1.0), aspect=(1.0, 1.0)),
        {AREA: 0.0, X: 1.0, Y: 0.0},
        1.0,
        [[0.5, 0, 0.5], [0, 0.5, -0.5]],
    ),
    # the narrowest and the widest crop; the middle is a square
    (
        Preset(area=(0.25, 0.25)),
        {ASPECT: 0.0},
        1.0,
        [[0.5 * math.sqrt(0.8), 0, 0], [0, 0.5 * math.sqrt(1.25), 0]],
    ),
    (
        Preset(area=(0.25, 0.25)),
        {ASPECT: 1.0},
        1.0,
        [[0.5 * math.sqrt(1.25), 0, 0], [0, 0.5 * math.sqrt(0.8), 0]],
    ),
    (Preset(area=(0.25, 0.25)), {}, 1.0, [[0.5, 0, 0], [0, 0.5, 0]]),
    # a crop that is longer than the photo becomes smaller in both directions
    (whole(), {}, 2.0, [[0.5, 0, 0], [0, 1, 0]]),
    (whole(), {}, 0.25, [[1, 0, 0], [0, 0.25, 0]]),
    # turned, sheared, and both
    (whole(angle=90.0), {ANGLE: 1.0}, 1.0, [[0, -1, 0], [1, 0, 0]]),
    (whole(angle=90.0), {ANGLE: 0.0}, 1.0, [[0, 1, 0], [-1, 0, 0]]),
    (whole(shear=0.5), {SHEAR: 1.0}, 1.0, [[1, 0.5, 0], [0, 1, 0]]),
    (whole(shear=0.5), {SHEAR: 0.0}, 1.0, [[1, -0.5, 0], [0, 1, 0]]),
    (
        whole(angle=30.0, shear=0.5),
        {ANGLE: 1.0, SHEAR: 1.0, MIRROR: 0.0},
        2.0,
        [
            [-0.5 * math.sqrt(0.75), 0.5 * (0.5 * math.sqrt(0.75) - 0.5), 0],
            [-0.5, 0.5 * 0.5 + math.sqrt(0.75), 0],
        ],
    ),
]


@pytest.mark.parametrize("preset, given, aspect, expected", MAPS)
def test_a_view_shows_the_part_of_its_photo_that_its_chances_say(preset, given, aspect, expected):
    found = seen_map(preset, given, aspect)
    np.testing.assert_allclose(found, expected, atol=2e-4)


def recoloured(preset: Preset, given: dict[int, float], colour: tuple[int, ...]) -> list[float]:
    """The one colour of a view of a plain photo."""
    photo = torch.tensor(colour, dtype=torch.uint8).expand(1, 8, 8, 3)
    view = augment(photo, torch.ones(1), 8, preset, chances(given))
    return view[0, :, 4, 4].tolist()


@pytest.mark.parametrize("chance, factor", [(1.0, 1.5), (0.75, 1.25), (0.0, 0.5)])
@pytest.mark.parametrize("colour", [(100, 80, 60), (60, 90, 70), (90, 90, 90)])
def test_saturation_scales_the_distance_from_the_luma(chance, factor, colour):
    luma = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    expected = [luma + factor * (sample - luma) for sample in colour]
    found = recoloured(Preset(saturation=0.5), {SATURATION: chance}, colour)
    np.testing.assert_allclose(found, expected, atol=0.01)


@pytest.mark.parametrize(
    "chance, colour, expected",
    [
        (1.0, (100, 80, 60), (151, 131, 111)),
        (0.0, (100, 80, 60), (49, 29, 9)),
        (1.0, (255, 250, 0), (255, 255, 51)),
        (0.0, (255, 20, 0), (204, 0, 0)),
    ],
)
def test_lightness_shifts_all_samples_within_their_bounds(chance, colour, expected):
    found = recoloured(Preset(lightness=0.2), {LIGHTNESS: chance}, colour)
    np.testing.assert_allclose(found, expected, atol=0.01)


@pytest.mark.parametrize("chance, turn", [(1.0, 60.0), (0.0, -60.0), (0.75, 30.0)])
def test_hue_is_turned_by_an_angle_in_the_plane_of_i_and_q(chance, turn):
    found = recoloured(Preset(hue=60.0), {HUE: chance}, (120, 100, 110))
    before_i, before_q = chroma([120, 100, 110])
    after_i, after_q = chroma(found)
    angle = math.degrees(math.atan2(after_q, after_i) - math.atan2(before_q, before_i))
    assert angle == pytest.approx(turn, abs=0.5)
    assert math.hypot(after_i, after_q) == pytest.approx(math.hypot(before_i, before_q), abs=0.05)
    luma = np.dot([0.299, 0.587, 0.114], found)
    assert luma == pytest.approx(0.299 * 120 + 0.587 * 100 + 0.114 * 110, abs=0.05)


def chroma(colour: list[float]) -> tuple[float, float]:
    """I and Q of a colour, NTSC."""
    red, green, blue = colour
    return (
        0.596 * red - 0.274 * green - 0.322 * blue,
        0.211 * red - 0.523 * green + 0.312 * blue,
    )


def erased(given: tuple[float, ...]) -> tuple[list[int], list[int]]:
    """Columns and rows of the grey box in a view of a white photo of 40 x 40 pixels."""
    white = torch.full((1, 40, 40, 3), 255, dtype=torch.uint8)
    places = dict(enumerate(given, ERASED))
    preset = Preset(erase=0.25)
    view = augment(white, torch.ones(1), 40, preset, chances(places))[0]
    grey = (view == 127.5).all(dim=0)
    assert torch.equal(grey, (view < 250).any(dim=0))
    return (
        grey.any(dim=0).nonzero()[:, 0].tolist(),
        grey.any(dim=1).nonzero()[:, 0].tolist(),
    )


@pytest.mark.parametrize(
    "given, columns, rows",
    [
        # centre x and y, half width and height, choice; 0.05 to 0.25 of the side
        ((0.5, 0.25, 0.0, 1.0, 0.0), range(19, 22), range(1, 20)),
        ((0.25, 0.5, 1.0, 0.0, 0.2499), range(1, 20), range(19, 22)),
        ((0.5, 0.5, 0.5, 0.5, 0.0), range(15, 26), range(15, 26)),
        ((0.0, 1.0, 1.0, 1.0, 0.0), range(0, 10), range(31, 40)),
        ((0.5, 0.5, 1.0, 1.0, 0.25), range(0), range(0)),
        ((0.5, 0.5, 1.0, 1.0, 1.0), range(0), range(0)),
    ],
)
def test_a_grey_box_lies_where_its_chances_say(given, columns, rows):
    assert erased(given) == (list(columns), list(rows))


def test_each_preset_has_its_own_bounds():
    """The first three are SageMaker's: hue 36 of 180, saturation and lightness 50 of 255."""
    crop = Preset((0.5, 1.0), (0.8, 1.25), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    half_circle = 36 / 180
    share = 50 / 255
    colour = Preset((0.5, 1.0), (0.8, 1.25), 360 * half_circle, share, share, 0.0, 0.0, 0.0)
    turned = Preset((0.5, 1.0), (0.8, 1.25), 360 * half_circle, share, share, 10.0, 0.1, 0.0)
    strong = Preset((0.25, 1.0), (0.8, 1.25), 36.0, 0.4, 0.3, 20.0, 0.2, 0.25)
    assert PRESETS["crop"] == crop
    assert PRESETS["crop_color"] == colour
    assert PRESETS["crop_color_transform"] == turned
    assert PRESETS["strong"] == strong


def test_the_numbers_of_a_view_follow_from_its_seed_and_its_own_number():
    """Stored features carry the seed and the view only, so that these must stay the same."""
    generator = torch.Generator().manual_seed(2 * 1_000_003 + 5)
    assert torch.equal(numbers(3, 2, 5), torch.rand(3, 15, generator=generator))
