"""How many planted copies prepare finds, and what else it takes for one: a table.

    python -m bench.near_copies [--photos FOLDER] [--pairs bench/yoga8_pairs.tsv] [--every 1]

Each photo of a folder and of two drawn sets gets one copy of each kind in
tests/support/photo_copies.py. All are searched together, and dealt out as prepare does.
"""

import argparse
import csv
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from artifact.photos.decoder import read_photo
from artifact.photos.kinds import PhotoError
from bench.drawn_landscapes import landscape
from local_test.figure import POSES
from local_test.stick_figures import picture
from prepare.groups import Union
from prepare.near_copies import near_pairs
from prepare.scan import Source
from prepare.signature import signature, stack
from prepare.split import assign
from tests.support.photo_copies import COPIES

DRAWN = 300  # pictures of each drawn set
SHARES = (0.7, 0.1, 0.2)


@dataclass(frozen=True)
class Planted:
    """What became of the copies in a set."""

    name: str
    photos: int
    recall: dict[str, float]
    false_pairs: list[tuple[str, str]]
    across: int  # copies on another side of the split than their photo
    seconds: float  # of processor, for the search


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, help="a folder of photos")
    parser.add_argument("--pairs", type=Path, default=Path("bench/yoga8_pairs.tsv"))
    parser.add_argument("--every", type=int, default=1, help="take each n-th photo alone")
    options = parser.parse_args()
    sets = {"stick figures": _figures(), "landscapes": _landscapes()}
    if options.photos:
        sets = {options.photos.name: _photos(options.photos), **sets}
    true_pairs = _read_pairs(options.pairs)
    print("| set | photos and copies | " + " | ".join(COPIES) + " | all | false | across |")
    print("|---" * (len(COPIES) + 5) + "|")
    for name, photos in sets.items():
        taken = list(photos)[:: options.every]
        print(_row(_search(name, taken, true_pairs)), flush=True)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"peak memory: {peak_mb} MB")


def _figures() -> Iterator[tuple[str, Image.Image]]:
    poses = sorted(POSES)
    for number in range(DRAWN):
        pose = poses[number % len(poses)]
        yield f"{pose}/{number}", picture(pose, number)


def _landscapes() -> Iterator[tuple[str, Image.Image]]:
    for number in range(DRAWN):
        yield f"landscapes/{number}", landscape(number)


def _photos(folder: Path) -> Iterator[tuple[str, Image.Image]]:
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        try:
            photo = read_photo(path)
        except PhotoError:
            continue
        photo.thumbnail((1000, 1000))
        yield path.relative_to(folder).as_posix(), photo


def _read_pairs(path: Path) -> set[tuple[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter="\t"))[1:]
    return {(min(row[:2]), max(row[:2])) for row in rows}


def _search(
    name: str, photos: list[tuple[str, Image.Image]], true_pairs: set[tuple[str, str]]
) -> Planted:
    """Plant the copies, search them all, and compare. Number i + k n is the k-th copy of i."""
    names = [photo_name for photo_name, _ in photos]
    found = [signature(photo) for _, photo in photos]
    for change in COPIES.values():
        found += [signature(change(photo)) for _, photo in photos]
    start = time.process_time()
    pairs, _ = near_pairs(stack(found))
    seconds = time.process_time() - start
    groups = Union()
    for pair in pairs:
        groups.join(*pair)
    count = len(names)
    recall = {}
    for index, kind in enumerate(COPIES, start=1):
        hits = [groups.root(i) == groups.root(i + index * count) for i in range(count)]
        recall[kind] = sum(hits) / count
    other = {
        (min(names[a % count], names[b % count]), max(names[a % count], names[b % count]))
        for a, b in pairs
        if a % count != b % count
    }
    across = _across(names, len(found), groups)
    return Planted(name, len(found), recall, sorted(other - true_pairs), across, seconds)


def _across(names: list[str], total: int, groups: Union) -> int:
    """How many copies are dealt to another side than their photo."""
    count = len(names)
    sources = [
        Source(f"{index:07d}", names[index % count].partition("/")[0]) for index in range(total)
    ]
    splits = assign(
        {source: str(groups.root(index)) for index, source in enumerate(sources)}, SHARES, seed=0
    )
    return sum(splits[sources[index]] != splits[sources[index % count]] for index in range(total))


def _row(planted: Planted) -> str:
    recall = planted.recall.values()
    cells = [
        planted.name,
        f"{planted.photos:,}",
        *(f"{share:.3f}" for share in recall),
        f"{sum(recall) / len(recall):.4f}",
        f"{len(planted.false_pairs)} ({len(planted.false_pairs) / planted.photos:.2%})",
        str(planted.across),
    ]
    lines = [f"| {' | '.join(cells)} |", f"search: {planted.seconds:.0f} s of processor"]
    lines += [f"false: {one} = {other}" for one, other in planted.false_pairs]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
