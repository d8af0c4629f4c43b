"""From predictions to a response's body, by what the client accepts."""

import csv
import io
import json
import re
from collections.abc import Sequence

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from serve.inputs import JSON_TYPE, LINES_TYPE, InputError

CSV_TYPE = "text/csv"
OFFERED = (JSON_TYPE, LINES_TYPE, CSV_TYPE)


def answer_type(accept: str | None, request_type: str) -> str:
    """The media type to answer in. Without a preference JSON Lines are answered in kind, everything else by JSON.

    InputError 406 where the client accepts none of OFFERED.
    """
    offered = (LINES_TYPE, JSON_TYPE, CSV_TYPE) if request_type == LINES_TYPE else OFFERED
    if not accept or not accept.strip():
        return offered[0]
    wishes = re.sub(r";(?!\s*q\s*=)[^;,]*", "", accept)  # a charset changes nothing here
    chosen = parse_accept_header(wishes, MIMEAccept).best_match(offered)
    if chosen is None:
        raise InputError(
            406,
            f"Accept '{accept[:100]}' cannot be met; ask for one of {', '.join(OFFERED)} or */*",
        )
    return chosen


def render(predictions: Sequence[dict], media_type: str) -> bytes:
    """The body: one JSON object, one object a line, or one CSV row a photo of label, probability, next label, its probability, …

    A record that could not be answered is {"error": "…"}, in CSV `error,"…"`.
    """
    if media_type == JSON_TYPE:
        return json.dumps({"predictions": list(predictions)}, ensure_ascii=False).encode() + b"\n"
    if media_type == LINES_TYPE:
        return b"".join(
            json.dumps(entry, ensure_ascii=False).encode() + b"\n" for entry in predictions
        )
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(_row(entry) for entry in predictions)
    return table.getvalue().encode()


def _row(entry: dict) -> list:
    if "error" in entry:
        return ["error", entry["error"]]
    return [value for top in entry["top"] for value in (top["label"], top["probability"])]
