"""Clause on the records of a batch: as many answers as records, or an error for the whole body."""

import base64
import json

from conformance.clauses import SERVING, Broken, Kept, NotApplicable, Outcome, clause
from conformance.server import Server
from conformance.serving_start import BATCH
from conformance.servings import Servings, answer
from conformance.targets import Sandbox

RECORDS = 3  # times the sample, in one body
LINES = ("application/json", "application/jsonlines", "application/x-ndjson")
MULTI = BATCH | {"SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD"}


@clause(SERVING)
def batch_record_counts(servings: Servings) -> Outcome:
    """A body of several records, one a line, gets as many answers, or an error for the whole body.

    Batch transform with SplitType Line and MultiRecord writes what comes back, and says Completed.

    Source: CreateTransformJob: BatchStrategy; TransformInput, SplitType; TransformOutput,
        AssembleWith
    Fix: read several JSON documents as JSON Lines, and answer a line for each, or 400 for all
    """
    servings.once(answer)
    with servings.ready(sandbox=Sandbox(environment=MULTI)) as server:
        servings.asked(server)
        found = _one_record(servings, server)
        if found is None:
            kind = servings.sample.content_type
            return NotApplicable(f"a body of {kind} is one record; give a text by --sample")
        record, kind, single = found
        if not single:
            return Broken(f"one record of {kind} gets 200, and no answer")
        body = b"\n".join([record] * RECORDS)
        reply = server.invoke(body, kind, servings.limits.invoke_s)
    wanted = RECORDS * single
    if reply.status >= 400:
        return Kept(f"{wanted} records get {reply.status} as a whole")
    if reply.status != 200:
        return Broken(f"{wanted} records got {reply.summary()}")
    answers = count_of(reply.body)
    if answers != wanted:
        return Broken(f"{wanted} records of {kind} got 200 and {answers} answers")
    return Kept(f"{wanted} records of {kind}, {answers} answers")


def _one_record(servings: Servings, server: Server) -> tuple[bytes, str, int] | None:
    """A body that is text, its type, and the number of its answers; None where there is none."""
    sample = servings.sample
    kind = sample.content_type.partition(";")[0].strip().lower()
    if kind.startswith("text/") or kind in LINES:
        reply = server.invoke(sample.body, sample.content_type, servings.limits.invoke_s)
        return sample.body.rstrip(b"\r\n"), sample.content_type, count_of(reply.body)
    encoded = base64.b64encode(sample.body).decode()
    # as TensorFlow Serving, KServe and MLflow write binary values
    for document in ({"instances": [{"b64": encoded}]}, {"image": encoded}):
        body = json.dumps(document).encode()
        reply = server.invoke(body, LINES[0], servings.limits.invoke_s)
        if reply.status == 200:
            return body, LINES[0], count_of(reply.body)
    return None


def count_of(body: bytes) -> int:
    """The number of answers in a body: of a JSON document's only list, else of its lines."""
    lines = [line for line in body.splitlines() if line.strip()]
    if len(lines) > 1 and all(_is_json(line) for line in lines):
        return sum(count_of(line) for line in lines)
    try:
        found = json.loads(body)
    except ValueError:
        return len(lines)
    if isinstance(found, dict):
        lists = [value for value in found.values() if isinstance(value, list)]
        if len(lists) == 1:
            found = lists[0]
    if isinstance(found, list):
        return len(found)
    return 1


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
