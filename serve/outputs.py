"""From predictions to the body of an answer, in the type that the client accepts."""

import json
import re

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from artifact import people_csv
from artifact.answers import Prediction
from serve.inputs import JSON_TYPE, LINES_TYPE, InputError

CSV_TYPE = "text/csv"
OFFERED = (JSON_TYPE, LINES_TYPE, CSV_TYPE)
OFFERED_FOR_LINES = (LINES_TYPE, JSON_TYPE, CSV_TYPE)
ONE_PHOTO = f"this record has several photos, and a row of CSV holds one; accept {JSON_TYPE}"


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


class AnswerBody:
    """The body of an answer, written prediction by prediction.

    It is one JSON object, one object per line, or one CSV row per photo. A row holds label,
    probability, next label, its probability, and so on. A photo without an answer is
    {"error": "…"}, in CSV `error,"…"`. A label is written as it is, also where a spreadsheet would
    take it for a formula: programs read this.

    by_line: each record gets one line, also as JSON, and also one with several photos.
    """

    def __init__(self, media_type: str, by_line: bool = False):
        self._media_type = media_type
        self._by_line = by_line
        self._record: list[Prediction] = []
        self._written: list[bytes] = []

    def add(self, prediction: Prediction, is_last: bool = True) -> None:
        """Write the next photo's answer. is_last: of its record."""
        if not self._by_line:
            self._written.append(self._one(prediction))
            return
        self._record.append(prediction)
        if is_last:
            self._written.append(self._line(self._record))
            self._record = []

    def whole(self) -> bytes:
        """The body."""
        if self._media_type == JSON_TYPE and not self._by_line:
            return b'{"predictions": [' + b", ".join(self._written) + b"]}\n"
        return b"".join(self._written)

    def _one(self, prediction: Prediction) -> bytes:
        if self._media_type == JSON_TYPE:
            return _json(prediction)
        if self._media_type == LINES_TYPE:
            return _json(prediction) + b"\n"
        return people_csv.line(_row(prediction)).encode()

    def _line(self, record: list[Prediction]) -> bytes:
        if self._media_type == CSV_TYPE and len(record) > 1:
            return people_csv.line(["error", ONE_PHOTO]).encode()
        if self._media_type == JSON_TYPE or len(record) > 1:
            return _json({"predictions": record}) + b"\n"
        return self._one(record[0])


def _json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def _row(entry: Prediction) -> list[str | float]:
    if "error" in entry:
        return ["error", entry["error"]]
    row: list[str | float] = []
    if "top" not in entry:  # a user's own function took it away
        raise InputError(406, f"the answer has no 'top' for {CSV_TYPE}; accept {JSON_TYPE}")
    for top in entry["top"]:
        row += [top["label"], top["probability"]]
    return row
