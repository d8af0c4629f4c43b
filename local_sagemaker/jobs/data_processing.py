"""DataProcessing of a transform job: filters of its records, and the join of answers with inputs.

Records are JSON, or rows of CSV, of which a JSONPath selects columns. Source: developer guide,
"Associate Prediction Results with Input Records", which lists the operators.
"""

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any

from artifact.text.json_text import read_json
from local_sagemaker.contract import invalid
from local_sagemaker.job_ends import JobFailed
from local_sagemaker.record import Record

WHOLE = "$"
INPUT = "SageMakerInput"
OUTPUT = "SageMakerOutput"
JSON = "JSON"
CSV = "CSV"
KINDS = {"application/json": JSON, "application/jsonlines": JSON, "text/csv": CSV}
STEP = re.compile(r"\.?\[([^\]]+)\]|\.(\*|[A-Za-z_][\w-]*)")
SLICE = re.compile(r"(-?\d*)\s*:\s*(-?\d*)")
QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")

Value = Any  # a record, or a part of one: JSON, or the texts of a CSV row
Step = slice | list[int] | list[str]


def steps_of(path: str) -> list[Step]:
    """A JSONPath's steps after `$`. ApiError for what is none, and for other operators."""
    steps: list[Step] = []
    place = 1
    while path.startswith(WHOLE) and place < len(path):
        found = STEP.match(path, place)
        if found is None:
            break
        steps.append(_step(found, path))
        place = found.end()
    if not path.startswith(WHOLE) or place != len(path):
        raise _no_path(path)
    return steps


def _step(found: re.Match[str], path: str) -> Step:
    within, name = found.groups()
    if name == "*" or (within or "").strip() == "*":
        return slice(None)
    if name:
        return [name]
    cut = SLICE.fullmatch(within.strip())
    if cut:
        return slice(*(int(bound) if bound else None for bound in cut.groups()))
    parts = [part.strip() for part in within.split(",")]
    if all(re.fullmatch(r"-?\d+", part) for part in parts):
        return [int(part) for part in parts]
    quoted = [QUOTED.fullmatch(part) for part in parts]
    if not all(quoted):
        raise _no_path(path)
    return [one[1] or one[2] or "" for one in quoted if one]


def _no_path(path: str) -> Exception:
    return invalid(
        f"'{path}' is no JSONPath that transform jobs take: $, .name, ['a','b'], [0,1], [1:3], [*]"
    )


def select(value: Value, steps: list[Step]) -> Value:
    """The part of a record that a path selects. LookupError where there is none.

    Several names give an object of them; several places, a slice and * give a list.
    """
    found = [value]
    several = False
    for step in steps:
        several = several or isinstance(step, slice) or _places(step) > 1
        parts: list[Value] = []
        for one in found:
            parts += _parts(one, step)
        found = parts
    if several:
        return found
    return found[0]


def _places(step: list[int] | list[str]) -> int:
    return len(step) if isinstance(step[0], int) else 1


def _parts(value: Value, step: Step) -> list[Value]:
    if isinstance(step, slice):
        return list(value.values()) if isinstance(value, dict) else list(value)[step]
    chosen = [_one(value, key) for key in step]
    if isinstance(step[0], int) or len(step) == 1:
        return chosen
    return [dict(zip(step, chosen, strict=True))]


def _one(value: Value, key: int | str) -> Value:
    if isinstance(value, dict) != isinstance(key, str):
        raise KeyError(key)
    return value[key]


class DataProcessing:
    """What a transform job asks for between its objects and the model."""

    def __init__(self, job: Record) -> None:
        """ApiError for a path that is none, and for contents of which nothing can be selected."""
        asked = job.get("DataProcessing") or {}
        given = job["TransformInput"]
        self.input = steps_of(asked.get("InputFilter", WHOLE))
        self.output = steps_of(asked.get("OutputFilter", WHOLE))
        self.joins = asked.get("JoinSource", "None") == "Input"
        self.by_line = given.get("SplitType", "None") == "Line"
        self.active = bool(self.input or self.output or self.joins)
        content = given.get("ContentType", "")
        self.sent = KINDS.get(content, "")
        self.answered = KINDS.get(job["TransformOutput"].get("Accept") or content, "")
        if not self.active:
            return
        if not self.sent or not self.answered:
            known = ", ".join(KINDS)
            raise invalid(f"DataProcessing needs a ContentType and an Accept among {known}")
        if self.joins and self.sent != self.answered:
            raise invalid("JoinSource needs a ContentType and an Accept that are both JSON or CSV")

    def answer(self, body: bytes, ask: Callable[[bytes], bytes]) -> bytes:
        """The answer to a request's body, filtered and joined. JobFailed where that cannot be."""
        if not self.active:
            return ask(body)
        try:
            records = self._read(body, self.sent, self.by_line)
            content = body
            if self.input:
                content = self._written([select(one, self.input) for one in records], self.sent)
            answer = ask(content)
            if not self.output and not self.joins:
                return answer
            answers = self._read(answer, self.answered, len(records) > 1)
            if self.joins:
                answers = self._joined(records, answers)
            return self._written([select(one, self.output) for one in answers], self.answered)
        except (LookupError, ValueError, TypeError) as error:
            raise JobFailed(f"DataProcessing fits no record: {error!r}") from error

    def _read(self, content: bytes, kind: str, by_line: bool) -> list[Value]:
        text = content.decode()
        if kind == CSV:
            return [row for row in csv.reader(io.StringIO(text)) if row]
        if not by_line:
            return [read_json(text)]
        # A line ends with a line feed alone: a text may hold other separators, such as U+2028.
        return [read_json(line) for line in text.split("\n") if line.strip()]

    def _written(self, records: list[Value], kind: str) -> bytes:
        if kind == JSON:
            return "\n".join(map(json.dumps, records)).encode()
        file = io.StringIO()
        rows = [one if isinstance(one, list) else [one] for one in records]
        csv.writer(file, lineterminator="\n").writerows(rows)
        return file.getvalue().encode()

    def _joined(self, records: list[Value], answers: list[Value]) -> list[Value]:
        if len(records) != len(answers):
            raise ValueError(
                f"{len(answers)} answers to {len(records)} records cannot be joined; "
                "set BatchStrategy to SingleRecord"
            )
        joined: list[Value] = []
        for record, answer in zip(records, answers, strict=True):
            if self.sent == CSV:
                joined.append([*record, *answer])
            elif isinstance(record, dict):
                joined.append({**record, OUTPUT: answer})
            else:
                joined.append({INPUT: record, OUTPUT: answer})
        return joined
