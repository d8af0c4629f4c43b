"""report.html of a preparation: what the photos are, what was changed, what is wrong with them."""

import base64
import io
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2

from artifact.photo_files import read_regular
from artifact.preprocessing import open_photo
from prepare.scan import SPLITS, Source
from prepare.summary import Summary

THUMBNAIL_SIDE = 96  # pixels
THUMBNAIL_QUALITY = 72
THUMBNAILS_PER_CLASS = 6
THUMBNAILS_IN_ALL = 800  # about 3 kB each: the page stays below a few MB for any number of classes
LISTED = 200  # broken, ignored and repeated files shown by name; the rest is counted
SIDES = (64, 128, 224, 256, 384, 512, 768, 1024, 2048)  # pixels; edges of a histogram
# width in percent of the height: square has a bar of its own, 4:3 (133) and 16:9 (177) end one
SHAPES = (50, 75, 95, 105, 134, 178, 250)


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram: its text, count, and height as a share of the highest."""

    text: str
    count: int
    share: float


def render_report(summary: Summary, folder: Path, outputs: Mapping[Source, str]) -> bytes:
    """The page, self-contained, in UTF-8. folder holds the outputs, of which some are shown."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shorter_sides = [min(size) for size in summary.sizes]
    shapes = [100 * width // height for width, height in summary.sizes]
    page = environment.get_template("report.html.j2").render(
        summary=summary,
        splits=SPLITS,
        listed=LISTED,
        largest_class=max(sum(row.values()) for row in summary.by_class.values()),
        sides=histogram(shorter_sides, SIDES),
        shapes=histogram(shapes, SHAPES),
        sheet=contact_sheet(summary, folder, outputs),
    )
    return page.encode("utf-8", "replace")


def histogram(values: list[int], edges: tuple[int, ...]) -> list[Bar]:
    """Counts of values below the first edge, between edges, and from the last one on.

    Empty bars at both ends are left out.
    """
    counts = [0] * (len(edges) + 1)
    for value in values:
        counts[bisect_right(edges, value)] += 1
    texts = [f"< {edges[0]}"]
    for index in range(len(edges) - 1):
        texts.append(f"{edges[index]}–{edges[index + 1] - 1}")
    texts.append(f"≥ {edges[-1]}")
    used = [index for index, count in enumerate(counts) if count]
    if not used:
        return []
    highest = max(counts)
    return [
        Bar(texts[index], counts[index], counts[index] / highest)
        for index in range(used[0], used[-1] + 1)
    ]


def contact_sheet(
    summary: Summary, folder: Path, outputs: Mapping[Source, str]
) -> dict[str, list[tuple[str, str]]]:
    """Class to (name, data URI) of a few of its photos, evenly from its list."""
    each = THUMBNAILS_IN_ALL // len(summary.classes)
    each = max(1, min(THUMBNAILS_PER_CLASS, each))
    by_class: dict[str, list[str]] = {name: [] for name in summary.classes}
    for source in sorted(outputs):
        by_class[source.label].append(outputs[source])
    sheet = {}
    for name, paths in by_class.items():
        stride = max(1, len(paths) // each)
        chosen = paths[::stride][:each]
        sheet[name] = [(Path(path).name, _thumbnail(folder / path)) for path in chosen]
    return sheet


def _thumbnail(path: Path) -> str:
    """A data URI of the photo, twice the height at which it is shown, for sharp screens."""
    with open_photo(read_regular(path)) as photo:
        photo.draft("RGB", (THUMBNAIL_SIDE * 2, THUMBNAIL_SIDE * 2))  # decodes less of a large JPEG
        photo.thumbnail((THUMBNAIL_SIDE * 2, THUMBNAIL_SIDE))
        buffer = io.BytesIO()
        photo.convert("RGB").save(buffer, "JPEG", quality=THUMBNAIL_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
