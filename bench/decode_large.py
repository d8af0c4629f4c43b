"""python -m bench.decode_large: a JPEG of 12 megapixels to a network's pixels, before and after.

Before: the first decoder, which decodes photos whole. After: the one of today. Both run in turn in
one process, on photos that are drawn here, and print processor time and the mean difference.
"""

import io
import statistics
import time
from collections.abc import Callable

import numpy as np
from PIL import Image

from artifact.photos import first_decoder
from artifact.photos.decoder import MAX_PIXELS, decode_reduced
from artifact.photos.preprocessing import Pixels, Preprocessing

SIZE = (4000, 3000)
ROUNDS = 7


def photo(**options: object) -> bytes:
    """A photo with fine structure and noise, as cameras have."""
    image = Image.effect_mandelbrot((1000, 750), (-2, -1, 1, 1), 60).convert("RGB").resize(SIZE)
    noise = np.random.default_rng(0).normal(0, 4, (SIZE[1], SIZE[0], 1))
    drawn = Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
    buffer = io.BytesIO()
    drawn.save(buffer, "JPEG", quality=92, **options)
    return buffer.getvalue()


def main() -> None:
    sizing = Preprocessing()
    for name, options in (("baseline", {}), ("progressive", {"progressive": True})):
        data = photo(**options)
        ways: dict[str, Callable[[bytes], Pixels]] = {
            "before": lambda data: sizing.pixels(first_decoder.decode(data, MAX_PIXELS)),
            "after": lambda data: sizing.pixels(decode_reduced(data, sizing.resize)),
        }
        taken: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, run in ways.items():
                started = time.process_time()
                run(data)
                taken[way].append(1000 * (time.process_time() - started))
        before, after = (statistics.median(taken[way]) for way in ways)
        pixels = [run(data).astype(int) for run in ways.values()]
        difference = float(np.abs(pixels[0] - pixels[1]).mean())
        print(
            f"{name}: before={before:.1f} ms after={after:.1f} ms ratio={after / before:.2f} "
            f"difference={difference:.2f} of 255"
        )


if __name__ == "__main__":
    main()
