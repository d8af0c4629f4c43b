"""Data capture: sampled requests and answers of an endpoint, as JSON lines in S3."""

import base64
import datetime
import json
import logging
import random
import uuid

from local_sagemaker import objects
from local_sagemaker.record import Record

log = logging.getLogger(__name__)


def capture(
    config: Record,
    endpoint: str,
    variant: str,
    sent: tuple[str, bytes],
    answered: tuple[str, bytes],
) -> None:
    """Keep one call if the configuration asks for it. sent, answered: content type and body.

    A failure is logged only.
    """
    wanted = config.get("DataCaptureConfig") or {}
    if not wanted or not wanted.get("EnableCapture", True):
        return
    if random.uniform(0, 100) >= wanted["InitialSamplingPercentage"]:
        return
    now = datetime.datetime.now(datetime.UTC)
    number = str(uuid.uuid4())
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    # The fields and the layout of the keys are those of Model Monitor's captured data.
    event = {
        "captureData": _captured(wanted, sent, answered),
        "eventMetadata": {"eventId": number, "inferenceTime": moment},
        "eventVersion": "0",
    }
    where = objects.joined(
        wanted["DestinationS3Uri"],
        endpoint,
        variant,
        now.strftime("%Y/%m/%d/%H"),
        f"{now:%M-%S-%f}-{number}.jsonl",
    )
    try:
        objects.write(where, (json.dumps(event) + "\n").encode())
    except objects.ObjectError as error:
        log.warning("endpoint %s: data capture: %s", endpoint, error)


def _captured(
    wanted: Record, sent: tuple[str, bytes], answered: tuple[str, bytes]
) -> dict[str, Record]:
    """The sides of a call that the configuration asks for."""
    modes = {option["CaptureMode"] for option in wanted["CaptureOptions"]}
    types: list[str] = []
    for kinds in (wanted.get("CaptureContentTypeHeader") or {}).values():
        types += kinds
    data: dict[str, Record] = {}
    if modes & {"Input", "InputAndOutput"}:
        data["endpointInput"] = _part("INPUT", *sent, types)
    if modes & {"Output", "InputAndOutput"}:
        data["endpointOutput"] = _part("OUTPUT", *answered, types)
    return data


def _part(mode: str, content_type: str, body: bytes, types: list[str]) -> Record:
    """Listed JSON and CSV types stay readable; all else is base64, as on SageMaker."""
    kind = content_type.partition(";")[0].strip()
    if kind in types and kind.endswith(("json", "csv")):
        encoding = "JSON"
        if kind.endswith("csv"):
            encoding = "CSV"
        data = body.decode("utf-8", errors="replace")
    else:
        encoding = "BASE64"
        data = base64.b64encode(body).decode()
    return {
        "observedContentType": content_type,
        "mode": mode,
        "data": data,
        "encoding": encoding,
    }
