"""Lists of the prepared photos, as file contents.

One CSV of all, SageMaker's augmented manifests by split, the classes in label order.
"""

import json
from collections.abc import Mapping, Sequence

from artifact.text import people_csv
from prepare.convert import Photo
from prepare.scan import SPLITS, Source

TABLE_FILE = "manifest.csv"
COLUMNS = (
    "path",
    "split",
    "class",
    "label",
    "source",
    "source_format",
    "source_mode",
    "width",
    "height",
    "sha256",
    "changes",
)


def manifests(
    photos: Mapping[Source, Photo],
    splits: Mapping[Source, str],
    outputs: Mapping[Source, str],
    classes: Sequence[str],
    s3_uri: str = "",
) -> dict[str, bytes]:
    """File name to content, the same bytes for the same photos."""
    label_of = {name: label for label, name in enumerate(classes)}
    rows: list[Sequence[object]] = [COLUMNS]
    lines: dict[str, list[str]] = {split: [] for split in SPLITS}
    several = any(source.also for source in photos)
    for source in sorted(photos, key=lambda source: outputs[source]):
        path = outputs[source]
        label = label_of[source.label]
        split = splits[source]
        rows.append(_row(path, split, label_of, source, photos[source]))
        uri = f"{s3_uri.rstrip('/')}/{path}" if s3_uri else path
        line = _augmented(uri, label, source.label)
        if several:
            line = _of_several_labels(uri, [source.label, *source.also], label_of)
        lines[split].append(json.dumps(line) + "\n")
    texts = {f"{split}.manifest": "".join(lines[split]) for split in SPLITS}
    texts[TABLE_FILE] = people_csv.table(rows)
    names = people_csv.true_names(rows)
    if names:
        texts[people_csv.names_file(TABLE_FILE)] = names
    texts["classes.json"] = json.dumps(list(classes), ensure_ascii=False, indent=1) + "\n"
    # names that are not UTF-8 go back to the bytes that they came from
    return {name: text.encode("utf-8", "surrogateescape") for name, text in texts.items()}


def _row(
    path: str, split: str, label_of: Mapping[str, int], source: Source, photo: Photo
) -> list[object]:
    """A line of manifest.csv, in the order of COLUMNS. Several labels have `|` between them."""
    names = [source.label, *source.also]
    return [
        path,
        split,
        "|".join(names),
        "|".join(str(label_of[name]) for name in names),
        source.path,
        photo.format,
        photo.mode,
        photo.width,
        photo.height,
        photo.sha256,
        "; ".join(photo.changes),
    ]


def _augmented(uri: str, label: int, class_name: str) -> dict[str, object]:
    """A line of an augmented manifest.

    https://docs.aws.amazon.com/sagemaker/latest/dg/augmented-manifest.html
    """
    return {
        "source-ref": uri,
        "class": label,
        "class-metadata": {
            "class-name": class_name,
            "type": "groundtruth/image-classification",
            "human-annotated": "yes",
        },
    }


def _of_several_labels(
    uri: str, names: Sequence[str], label_of: Mapping[str, int]
) -> dict[str, object]:
    """A line of an augmented manifest of photos with several labels."""
    return {
        "source-ref": uri,
        "class": [label_of[name] for name in names],
        "class-metadata": {
            "class-map": {str(label_of[name]): name for name in names},
            "type": "groundtruth/image-classification-multilabel",
            "human-annotated": "yes",
        },
    }
