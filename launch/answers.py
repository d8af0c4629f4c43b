"""Photos to classify, their answers, and how answers are printed. Asks AWS nothing."""

import json
from dataclasses import dataclass
from pathlib import Path

from artifact.photos.kinds import MEDIA_TYPE_OF
from artifact.text.intervals import wilson_interval
from launch.aws import Request, Response
from launch.requests_training import split_s3

HEADINGS = ("photo", "label", "probability", "next", "")


@dataclass(frozen=True)
class Photo:
    """A file of this machine, or an object of S3."""

    where: str
    # The name of its class folder, where it was found in a folder of classes.
    label: str = ""

    @property
    def in_s3(self) -> bool:
        return self.where.startswith("s3://")

    @property
    def content_type(self) -> str:
        return MEDIA_TYPE_OF.get(Path(self.where).suffix.lower(), "application/x-image")

    def s3_object(self) -> Request:
        """Bucket and key of an object, as the fields of GetObject."""
        bucket_name, key = split_s3(self.where)
        return {"Bucket": bucket_name, "Key": key}


@dataclass(frozen=True)
class Answer:
    """The endpoint's first prediction for a photo, or the reason why there is none."""

    photo: Photo
    prediction: Response
    failure: str = ""


def table(answers: list[Answer]) -> list[str]:
    """One line per photo: photo, label, probability, the next label and its probability."""
    rows = [HEADINGS, *(row_of(answer) for answer in answers)]
    # A failure's sentence is longer than any label; it may leave its column.
    measured = [row for row in rows if not row[1].startswith("failed: ")]
    widths = [max(map(len, column)) for column in zip(*measured, strict=True)]
    return [aligned(row, widths) for row in rows]


def row_of(answer: Answer) -> tuple[str, ...]:
    """The texts of one line of the table."""
    # The folder is often the photo's label.
    name = "/".join(Path(answer.photo.where).parts[-2:])
    if answer.failure:
        return (name, f"failed: {answer.failure}", "", "", "")
    prediction = answer.prediction
    next_label = ""
    next_probability = ""
    # "top" begins with the label itself.
    for second in (prediction.get("top") or [])[1:2]:
        next_label = second.get("label", "")
        if "probability" in second:
            next_probability = f"{second['probability']:.4f}"
    probability = f"{prediction['probability']:.4f}"
    return (name, prediction["label"], probability, next_label, next_probability)


def aligned(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [text.ljust(width) for text, width in zip(row, widths, strict=True)]
    return "  ".join(cells).rstrip()


def json_lines(answers: list[Answer]) -> list[str]:
    """One JSON object per photo: its prediction, or its error."""
    lines = []
    for answer in answers:
        outcome = answer.prediction
        if answer.failure:
            outcome = {"error": answer.failure}
        # ensure_ascii=False: labels and file names stay readable.
        document = {"photo": answer.photo.where, **outcome, **expected_of(answer.photo)}
        lines.append(json.dumps(document, ensure_ascii=False))
    return lines


def expected_of(photo: Photo) -> dict[str, str]:
    """The label that a photo's folder gives it, as a field of its JSON."""
    if not photo.label:
        return {}
    return {"expected": photo.label}


def accuracy_lines(answers: list[Answer]) -> list[str]:
    """The share of right answers with its interval, then each mistake; empty without labels.

    A photo's folder is its label where some answer knows such a label. A failure is no answer.
    """
    answered = [answer for answer in answers if answer.photo.label and not answer.failure]
    known = set()
    for answer in answered:
        known.add(answer.prediction["label"])
        known |= {second.get("label", "") for second in answer.prediction.get("top") or []}
    if not known & {answer.photo.label for answer in answered}:
        return []
    wrong = [one for one in answered if one.prediction["label"] != one.photo.label]
    count = len(answered)
    share = (count - len(wrong)) / count
    low, high = wilson_interval(share, count)
    lines = [
        f"accuracy: {count - len(wrong)} of {count} = {share:.3f} "
        f"({low:.3f} to {high:.3f} at 95 %), by the folders' names"
    ]
    for answer in wrong:
        probability = answer.prediction.get("probability", 0)
        lines.append(
            f"mistake: {answer.photo.where}: {answer.photo.label} taken for "
            f"{answer.prediction['label']} ({probability:.2f})"
        )
    return lines
