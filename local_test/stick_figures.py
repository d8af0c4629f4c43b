"""Draws labelled photos of five yoga poses as stick figures, with awkward files among them.

    python -m local_test.stick_figures DST [--photos-per-class 60] [--seed 0]

The same seed draws the same bytes. It knows nothing of preparing or training.
"""

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from local_test.figure import POSES, draw_figure, placed, skeleton
from local_test.photo_files import AWKWARD, as_jpeg, truncated
from local_test.scene import Rng, Size, background
from recipes.command_line import CommandLine

FEWEST_PHOTOS = 3  # a class with fewer cannot be in all three parts of a split
SUPERSAMPLING = 3  # pictures are drawn this much larger, and scaled down, for smooth edges
ASPECTS = [1.0, 1.25, 4 / 3, 1.5]  # the longer side by the shorter one, as of cameras
USUAL = ("{pose}_{number:03d}.jpg", as_jpeg)  # what AWKWARD has other kinds of


def main() -> int:
    parser = CommandLine(
        prog="python -m local_test.stick_figures", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("destination", metavar="DST", help="folder to draw into: DST/<pose>/…")
    parser.add_argument("--photos-per-class", type=int, default=60, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    options = parser.parse_args()
    try:
        folder = Path(options.destination)
        count = draw(folder, options.photos_per_class, options.seed)
    except (ValueError, OSError) as error:
        print(f"stick_figures: {error}", file=sys.stderr)
        return 1
    print(f"stick_figures: files={count} poses={len(POSES)} folder={options.destination}")
    return 0


def draw(destination: Path, photos_per_class: int = 60, seed: int = 0) -> int:
    """Draw photos of each pose, one exact copy and one broken file; the number of files.

    Files that hold the right bytes already are left alone. ValueError if the destination holds
    any other file.
    """
    if photos_per_class < FEWEST_PHOTOS:
        raise ValueError(
            f"photos_per_class must be at least {FEWEST_PHOTOS}, found {photos_per_class}"
        )
    destination = Path(destination)
    drawings = dict(_drawings(photos_per_class, seed))
    for path in sorted(destination.rglob("*")):
        name = path.relative_to(destination).as_posix()
        if not path.is_dir() and name not in drawings:
            raise ValueError(
                f"'{destination}' holds '{name}', which is not of this set: "
                "give a new folder or empty it"
            )
    for name, drawing in drawings.items():
        _write(destination / name, drawing())
    return len(drawings)


def picture(pose: str, number: int, seed: int = 0) -> Image.Image:
    """One RGB picture, 160 to 320 pixels on its longer side.

    It is the same for the same pose, number and seed.
    """
    index = sorted(POSES).index(pose)
    rng = np.random.default_rng([seed, index, number])
    width, height = _size(rng)
    canvas = (width * SUPERSAMPLING, height * SUPERSAMPLING)
    drawn = skeleton(pose, rng)
    joints, unit = placed(drawn, canvas, rng)
    floor = max(y for _, y in joints.values())  # the lowest joint stands on it
    image = background(canvas, floor, rng)
    draw_figure(image, joints, unit, rng)
    image = image.resize((width, height), Image.Resampling.BOX)
    # A camera's noise, the same in all three channels: float64 [height, width, 1].
    strength = rng.uniform(1, 6)
    grain = rng.normal(0, strength, (height, width, 1))
    noisy = np.asarray(image) + grain
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def _size(rng: Rng) -> Size:
    longer = int(rng.integers(160, 321))
    shorter = int(longer / rng.choice(ASPECTS))
    if rng.random() < 0.5:
        return longer, shorter
    return shorter, longer


def _drawings(photos_per_class: int, seed: int) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Names below the destination, and what makes each file's bytes."""
    poses = sorted(POSES)
    awkward = {}  # by pose and number; spread over the poses
    for place, kind in enumerate(AWKWARD):
        number, pose_index = divmod(place, len(poses))
        awkward[poses[pose_index], number] = kind
    for pose in poses:
        for number in range(photos_per_class):
            pattern, encode = awkward.get((pose, number), USUAL)
            name = pattern.format(pose=pose, number=number)
            yield f"{pose}/{name}", partial(_encoded, pose, number, seed, encode)
    last = photos_per_class - 1
    copy = f"{poses[0]}/copy of {poses[0]}_{last:03d}.jpg"
    yield copy, partial(_encoded, poses[0], last, seed, as_jpeg)
    broken = f"{poses[1]}/{poses[1]}_broken.jpg"
    yield broken, partial(_encoded, poses[1], photos_per_class, seed, truncated)


def _encoded(pose: str, number: int, seed: int, encode: Callable[[Image.Image], bytes]) -> bytes:
    return encode(picture(pose, number, seed))


def _write(path: Path, data: bytes) -> None:
    if path.exists() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.partial")
    temporary.write_bytes(data)
    os.replace(temporary, path)


if __name__ == "__main__":
    sys.exit(main())
