"""From predictions to the body of an answer, in the type that the client accepts."""

import json
import re
from collections.abc import Sequence

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from artifact import people_csv
from serve.inputs import JSON_TYPE, LINES_TYPE, InputError
from serve.prediction import Prediction

CSV_TYPE = "text/csv"
OFFERED = (JSON_TYPE, LINES_TYPE, CSV_TYPE)
OFFERED_FOR_LINES = (LINES_TYPE, JSON_TYPE, CSV_TYPE)


def answer_type(accept: str | None, request_type: str) -> str:
    """The media type of the answer: without a preference JSON, or JSON Lines for JSON Lines.

    Raises InputError 406 where the client accepts none of OFFERED.
    """
    offered = OFFERED_FOR_LINES if request_type == LINES_TYPE else OFFERED
    if not accept or not accept.strip():
        return offered[0]
    preferences = re.sub(r";(?!\s*q\s*=)[^;,]*", "", accept)  # a charset changes nothing here
    chosen = parse_accept_header(preferences, MIMEAccept).best_match(offered)
    if chosen is None:
        raise InputError(
            406,
            f"Accept '{accept[:100]}' cannot be met; ask for one of {', '.join(OFFERED)} or */*",
        )
    return chosen


def render(predictions: Sequence[Prediction], media_type: str) -> bytes:
    """The body: one JSON object, one object per line, or one CSV row per photo.

    A row holds label, probability, next label, its probability, and so on. A record without an
    answer is {"error": "…"}, in CSV `error,"…"`. A label is written as it is, also where a
    spreadsheet would take it for a formula: programs read this.
    """
    if media_type == JSON_TYPE:
        return _json({"predictions": list(predictions)})
    if media_type == LINES_TYPE:
        return b"".join(_json(entry) for entry in predictions)
    return "".join(people_csv.line(_row(entry)) for entry in predictions).encode()


def _json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"


def _row(entry: Prediction) -> list[str | float]:
    if "error" in entry:
        return ["error", entry["error"]]
    row: list[str | float] = []
    for top in entry["top"]:
        row += [top["label"], top["probability"]]
    return row
