"""Copies of a photo as folders have them: re-encoded, resized, mirrored, cut, marked."""

import io
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

Change = Callable[[Image.Image], Image.Image]
CUT = 0.9  # of a side
WHITE = (255, 255, 255, 128)  # half transparent
BLACK = (0, 0, 0, 160)


def encoded_again(photo: Image.Image) -> Image.Image:
    """A JPEG of low quality."""
    data = io.BytesIO()
    photo.save(data, "JPEG", quality=40)
    return Image.open(data).convert("RGB")


def scaled(factor: float) -> Change:
    """In another size."""

    def change(photo: Image.Image) -> Image.Image:
        return photo.resize((int(photo.width * factor), int(photo.height * factor)))

    return change


def cut(left: float, top: float) -> Change:
    """CUT of each side. left, top: from 0, at that edge, to 1, at the other."""

    def change(photo: Image.Image) -> Image.Image:
        width = int(photo.width * CUT)
        height = int(photo.height * CUT)
        across = int((photo.width - width) * left)
        down = int((photo.height - height) * top)
        return photo.crop((across, down, across + width, down + height))

    return change


def brighter(photo: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(photo).enhance(1.3)


def marked(photo: Image.Image) -> Image.Image:
    """With a watermark over the middle, and a line at the bottom."""
    marks = Image.new("RGBA", photo.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(marks)
    large = ImageFont.load_default(size=max(10, photo.width // 8))
    small = ImageFont.load_default(size=max(8, photo.width // 14))
    draw.text((photo.width * 0.15, photo.height * 0.4), "SAMPLE", font=large, fill=WHITE)
    draw.text((photo.width * 0.5, photo.height * 0.85), "(c) photo", font=small, fill=BLACK)
    return Image.alpha_composite(photo.convert("RGBA"), marks).convert("RGB")


def mirrored_cut_and_brighter(photo: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(cut(0.5, 0.5)(ImageOps.mirror(photo))).enhance(1.2)


COPIES: dict[str, Change] = {
    "re-encoded": encoded_again,
    "half size": scaled(0.5),
    "double size": scaled(2),
    "mirrored": ImageOps.mirror,
    "cut in the middle": cut(0.5, 0.5),
    "cut at a corner": cut(0, 1),
    "brightened": brighter,
    "watermarked": marked,
}
