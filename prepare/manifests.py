"""Lists of the prepared photos: one CSV of all, SageMaker's augmented manifests by split, the classes in label order."""

import csv
import io
import json
from collections.abc import Mapping, Sequence

from prepare.convert import Photo
from prepare.scan import SPLITS, Source

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
    rows = sorted((outputs[source], source, photo) for source, photo in photos.items())
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    lines: dict[str, list[str]] = {split: [] for split in SPLITS}
    for path, source, photo in rows:
        label = label_of[source.label]
        writer.writerow(
            [
                path,
                splits[source],
                source.label,
                label,
                source.path,
                photo.format,
                photo.mode,
                photo.width,
                photo.height,
                photo.sha256,
                "; ".join(photo.changes),
            ]
        )
        lines[splits[source]].append(
            json.dumps(
                {
                    "source-ref": f"{s3_uri.rstrip('/')}/{path}" if s3_uri else path,
                    "class": label,
                    "class-metadata": {
                        "class-name": source.label,
                        "type": "groundtruth/image-classification",
                        "human-annotated": "yes",
                    },
                }
            )
        )
    texts = {
        "manifest.csv": table.getvalue(),
        "classes.json": json.dumps(list(classes), ensure_ascii=False, indent=1) + "\n",
    }
    texts |= {
        f"{split}.manifest": "".join(f"{line}\n" for line in lines[split]) for split in SPLITS
    }
    # names that are no UTF-8 go back to the bytes that they came from
    return {name: text.encode("utf-8", "surrogateescape") for name, text in texts.items()}
