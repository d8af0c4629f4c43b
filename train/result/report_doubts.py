"""The report's values on probabilities, labels and the linear head, from what JSON files hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from train.result.report_charts import coverage_chart, reliability_chart
from train.result.report_photos import Album, Seen

MOST_LABELS = 48  # doubtful labels on the page
WEAK = 0.6  # of the labels that others predict: below it, doubts say little
ALBUM_SIDE = 144  # pixels
ALBUM_QUALITY = 70
ALBUM_BYTES = 300_000
ALBUM_S = 10.0

Json = Mapping[str, Any]  # Any: of a document that a page reads


@dataclass(frozen=True)
class InDoubt:
    """The documents of calibration.json, coverage.json and doubtful_labels.json; {} without one.

    linear_head: of `head_values`. saliency: of the worst mistakes.
    """

    calibration: Json = field(default_factory=dict)
    coverage: Json = field(default_factory=dict)
    labels: Json = field(default_factory=dict)
    linear_head: Json | None = None
    saliency: Mapping[Path, Seen] = field(default_factory=dict)


NOTHING_IN_DOUBT = InDoubt()


def doubt_values(found: InDoubt, channel: str) -> dict[str, object]:
    """The template's values. channel: of the answers; "" without any."""
    return {
        "trust": trust_values(found, channel),
        "labels": label_values(found.labels),
        "linear_head": found.linear_head,
    }


def trust_values(found: InDoubt, channel: str) -> dict[str, object] | None:
    """Both plots on the probabilities of a channel; None where nothing was measured."""
    reliability = reliability_chart(found.calibration.get("channels", {}).get(channel, {}))
    if reliability is None:
        return None
    coverage = coverage_chart(found.coverage.get("channels", {}).get(channel, {}))
    return {"reliability": reliability, "coverage": coverage}


def label_values(labels: Json) -> dict[str, object] | None:
    """The likeliest of the wrong labels with their photos; None where none were looked for."""
    if not labels:
        return None
    if "left_out" in labels:
        return {"left_out": labels["left_out"]}
    album = Album(ALBUM_SIDE, ALBUM_QUALITY, ALBUM_BYTES, ALBUM_S)
    entries = []
    for entry in labels["labels"][:MOST_LABELS]:
        path = Path(entry["photo"])
        entries.append(entry | {"file": path.name, "picture": album.picture(path)})
    return {
        "left_out": "",
        "doubted": labels["doubted"],
        "photos": labels["photos"],
        "features": labels["features"],
        "weak": labels["accuracy"] if labels.get("accuracy", 1.0) < WEAK else None,
        "entries": entries,
    }


def head_values(
    document: Json, own: Mapping[str, float], optimizer: object
) -> dict[str, object] | None:
    """What the linear head reaches beside the training; None where none was tried.

    document: of linear_head.json. own: the training's accuracy by channel.
    """
    if not document:
        return None
    if "left_out" in document:
        return {"left_out": document["left_out"]}
    rows: list[dict[str, object]] = []
    for channel in ("validation", "test"):
        reached = document.get("accuracy", {}).get(channel)
        if reached is not None:
            rows.append({"channel": channel, "head": reached, "own": own.get(channel)})
    path: Sequence[Json] = document.get("path", ())
    return {
        "left_out": "",
        "is_network": optimizer == "lbfgs",
        "rows": rows,
        "path": path,
        "taken": document.get("chosen", {}).get("strength"),
    }
