"""Which columns of a list hold the photo, its labels and its part of a split: guessed, and told."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from artifact.folders.channels import ROLE_OF
from prepare.label_lists import Row, as_text
from prepare.photo_names import PhotoNames

SAMPLED = 200  # rows that a guess looks at
ENOUGH = 0.5  # of them must name a photo that is there
PHOTO_COLUMNS = ("source-ref", "filename", "file_name", "file", "image", "path", "photo", "id")
LABEL_COLUMNS = (
    *("label", "labels", "class", "classes", "class_name", "category", "categories", "tags"),
    *("breed", "species", "target", "diagnosis", "dx", "y", "annotation", "label_name"),
)
SPLIT_COLUMNS = ("split", "set", "subset", "partition", "fold", "usage", "channel")
LISTS = ("labels", "classes", "categories", "tags")  # their commas and blanks divide labels
METADATA = "-metadata"  # Ground Truth: beside the attribute of that name
BOXES = "it holds {kind} labels, and not those of whole photos"


@dataclass(frozen=True)
class Columns:
    """photo, labels, split and groups: names of columns; "" for none.

    one_hot: `labels` hold 0 and 1, a class each. latest: of `labels`, the last one that a row has
    counts.
    """

    photo: str
    labels: tuple[str, ...]
    split: str = ""
    one_hot: bool = False
    groups: str = ""
    latest: bool = False

    @property
    def is_ground_truth(self) -> bool:
        """Whether the photo is named as in SageMaker's manifests."""
        return self.photo == "source-ref"

    def words(self) -> str:
        """Such as `photos in 'filename', labels in 'breed'`."""
        names = [f"'{name}'" for name in self.labels[:4]]
        more = [f"{len(self.labels) - 4} more"] if len(self.labels) > 4 else []
        text = f"photos in '{self.photo}', labels in {', '.join(names + more)}"
        if self.latest:
            text += " (the last one that a row has)"
        if self.split:
            text += f", split in '{self.split}'"
        return f"{text}, groups in '{self.groups}'" if self.groups else text


def guess(rows: Sequence[Row], photos: PhotoNames, groups: str = "") -> Columns | str:
    """The columns, or why they cannot be guessed: a sentence's end.

    groups: the name of the column that holds groups, if there is one of this name.
    """
    names = list(dict.fromkeys(chain.from_iterable(rows)))
    of_groups = next((name for name in names if groups and name == groups), "")
    found = _guess(rows, photos, [name for name in names if name != of_groups])
    return replace(found, groups=of_groups) if isinstance(found, Columns) else found


def _guess(rows: Sequence[Row], photos: PhotoNames, names: list[str]) -> Columns | str:
    hits = {name: _share_of_photos(rows, name, photos) for name in names}
    photo = max(names, key=lambda name: (hits[name], _rank(name, PHOTO_COLUMNS)), default="")
    if not photo or hits[photo] < ENOUGH:
        return "no column names photos that are there"
    split = next((name for name in names if name != photo and _is_split(rows, name)), "")
    others = [name for name in names if name not in (photo, split)]
    labels = _ground_truth_labels(rows, others)
    if labels:
        is_chain = len(labels) > 1 and any(_has_classes(rows, name) for name in labels)
        return Columns(photo, labels, split, latest=is_chain)
    return _plain_labels(rows, others, photo, split)


def _plain_labels(rows: Sequence[Row], others: list[str], photo: str, split: str) -> Columns | str:
    named = [name for name in others if name.lower() in LABEL_COLUMNS]
    if named:
        best = max(named, key=lambda name: _rank(name, LABEL_COLUMNS))
        return Columns(photo, (best,), split)
    flags = [name for name in others if _is_flag(rows, name)]
    if len(flags) > 1:
        return Columns(photo, tuple(flags), split, one_hot=True)
    if len(others) == 1:
        return Columns(photo, (others[0],), split)
    repeated = [name for name in others if _repeats(rows, name)]
    if len(repeated) == 1:
        return Columns(photo, (repeated[0],), split)
    if not others:
        return "it has no column beside the photos' names"
    listed = ", ".join(f"'{name}'" for name in (repeated or others)[:6])
    return f"several columns could hold the labels ({listed}); name the right one 'label'"


def _share_of_photos(rows: Sequence[Row], name: str, photos: PhotoNames) -> float:
    texts = [as_text(row.get(name, "")) for row in rows]
    return sum(text in photos for text in texts) / max(1, len(texts))


def _rank(name: str, known: Sequence[str]) -> int:
    """Higher for a name that stands earlier in the list."""
    return len(known) - known.index(name.lower()) if name.lower() in known else 0


def _is_split(rows: Sequence[Row], name: str) -> bool:
    values = {as_text(row.get(name, "")).lower() for row in rows}
    return name.lower() in SPLIT_COLUMNS and values <= set(ROLE_OF)


def _is_flag(rows: Sequence[Row], name: str) -> bool:
    values = {as_text(row.get(name, "")).lower() for row in rows}
    return values <= {"0", "1", "0.0", "1.0", "true", "false"}


def _repeats(rows: Sequence[Row], name: str) -> bool:
    """Whether values come back, as classes do; a size or a name rarely does."""
    counted = Counter(as_text(row.get(name, "")) for row in rows)
    return 1 < len(counted) <= max(2, len(rows) // 2)


def _ground_truth_labels(rows: Sequence[Row], others: list[str]) -> tuple[str, ...]:
    """The attributes with metadata of image classification, in their order.

    The last one alone where most rows have it, and earlier ones, too: later jobs correct earlier
    ones. Rekognition's Custom Labels has an attribute for each label.
    """
    attributes = [name for name in others if f"{name}{METADATA}" in others]
    attributes += [name[: -len(METADATA)] for name in others if name.endswith(METADATA)]
    found: list[str] = []
    for name in dict.fromkeys(attributes):
        kinds = {kind_of_labels(row, name) for row in rows} - {""}
        if any("image-classification" in kind for kind in kinds) or not kinds:
            found.append(name)
    if not found:
        return tuple(attributes[-1:])  # of another kind: each of its rows says so
    counts = [sum(f"{name}{METADATA}" in row for name in found) for row in rows]
    last = sum(f"{found[-1]}{METADATA}" in row for row in rows)
    if max(counts) > 1 and last >= ENOUGH * len(rows):
        return tuple(found[-1:])
    return tuple(found)


def _has_classes(rows: Sequence[Row], attribute: str) -> bool:
    """Whether an attribute is a job's, with several classes; Rekognition's stand for one each."""
    found = [row.get(f"{attribute}{METADATA}") for row in rows]
    metadata = [one for one in found if isinstance(one, dict)]
    return len({as_text(one["class-name"]) for one in metadata if "class-name" in one}) > 1


def kind_of_labels(row: Row, attribute: str) -> str:
    """The type in an attribute's metadata, such as groundtruth/image-classification; "" without."""
    metadata = row.get(f"{attribute}{METADATA}")
    return str(metadata.get("type", "")) if isinstance(metadata, dict) else ""
