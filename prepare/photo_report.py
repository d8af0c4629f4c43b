"""report.html of a preparation: what the photos are, what was changed, what is wrong with them."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from artifact.pages.page import render_page
from artifact.pages.project_pages import About
from prepare.convert import Photo
from prepare.report_tiles import broken_tiles, looks, odd_tiles
from prepare.scan import SPLITS, Source
from prepare.summary import Summary
from prepare.thumbnails import mean_photos, thumbnail

THUMBNAILS_PER_CLASS = 6
THUMBNAILS_IN_ALL = 800  # about 3 kB each: the page stays below a few MB for any number of classes
LISTED = 200  # broken, ignored and repeated files shown by name; the rest is counted
EVEN = 2  # times the smallest class: up to there nothing needs to be done
SIDES = (64, 128, 224, 256, 384, 512, 768, 1024, 2048)  # pixels; edges of a histogram
# width in percent of the height: square has a bar of its own, 4:3 (133) and 16:9 (177) end one
SHAPES = (50, 75, 95, 105, 134, 178, 250)


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram: its text, count, and height as a share of the highest."""

    text: str
    count: int
    share: float


def render_report(
    summary: Summary,
    folder: Path,
    outputs: Mapping[Source, str],
    photos: Mapping[Source, Photo] | None = None,
    source: Path | None = None,
) -> bytes:
    """The page, self-contained, in UTF-8.

    folder holds the outputs, of which some are shown. photos: what is known of each; source: the
    folder that the broken files lie in.
    """
    shorter_sides = [min(size) for size in summary.sizes]
    shapes = [100 * width // height for width, height in summary.sizes]
    output_of = {one.path: folder / path for one, path in outputs.items()}
    sizes = {name: sum(row.values()) for name, row in summary.by_class.items()}
    return render_page(
        Path(__file__).parent / "report.html.j2",
        about=About("photos", {name: f"{count:,}" for name, count in summary.counts().items()}),
        title=f"Photos: {summary.photos} in {len(summary.classes)} classes",
        summary=summary,
        splits=SPLITS,
        listed=LISTED,
        largest_class=max(sizes.values()),
        imbalance=imbalance(sizes),
        sides=histogram(shorter_sides, SIDES),
        shapes=histogram(shapes, SHAPES),
        tallies={
            "File formats": tally(summary.formats),
            "Pixel modes": tally(summary.modes),
        },
        changes=tally(summary.changes),
        looks=looks(summary.repeated, output_of),
        odd=odd_tiles(photos or {}, output_of),
        broken=broken_tiles(summary.broken, source),
        means=mean_photos(photos or {}),
        sheet=contact_sheet(summary, folder, outputs),
    )


def imbalance(sizes: Mapping[str, int]) -> str:
    """A sentence on the classes' numbers of photos. sizes: by class."""
    largest = max(sizes, key=lambda name: sizes[name])
    smallest = min(sizes, key=lambda name: sizes[name])
    most = sizes[largest]
    least = sizes[smallest]
    if len(sizes) == 1:
        return ""
    if most <= EVEN * least:
        return f"The classes are about even: {least} to {most} photos each."
    share = most / max(1, least)
    return (
        f"“{largest}” has {most} photos, {share:.0f} times as many as “{smallest}” with {least}. "
        "A network answers the large classes more often than it should; add photos to the small "
        "ones, or train with class_weights=balanced."
    )


def tally(counter: Mapping[str, int]) -> list[Bar]:
    """The counts as bars, the highest first."""
    ordered = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    highest = max(counter.values(), default=1)
    return [Bar(name, count, count / highest) for name, count in ordered]


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
        sheet[name] = [(Path(path).name, thumbnail(folder / path)) for path in chosen]
    return sheet
