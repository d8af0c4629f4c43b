"""A file that a person gives to an endpoint, and its answer for people."""

import base64
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from artifact.photos.kinds import known_kind
from artifact.text.json_text import read_json
from local_sagemaker.contract import ApiError
from local_sagemaker.hosting import invocations
from local_sagemaker.hosting.calls import PREFIX
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record

MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,60}/[\w!#$&^.+-]{1,60}", re.ASCII)
ANY_TYPE = "application/octet-stream"
SHOWN_BY_BROWSERS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP")
MOST_SHOWN = 2 * 2**20  # bytes of a photo that goes back to the page
MOST_LETTERS = 20_000  # of an answer's text
MOST_LABELS = 5
HEADERS = {"target-model": "Target-Model", "target-variant": "Target-Variant"}  # by form's field


@dataclass(frozen=True)
class Label:
    """One label of an answer. share: its probability, from 0 to 1."""

    name: str
    share: float


@dataclass(frozen=True)
class Answer:
    """What the page shows. error: in place of an answer; picture: a data URL, or empty."""

    file: str
    picture: str
    took_ms: int
    error: str = ""
    variant: str = ""
    media_type: str = ""
    labels: tuple[Label, ...] = ()
    unknown: bool = False  # the model says that the photo is unlike all of its training
    text: str = ""


@dataclass(frozen=True)
class Given:
    """A file of a form. media_type: what the browser takes it for."""

    name: str
    body: bytes
    media_type: str


def ask(platform: Platform, endpoint: str, given: Given, form: Mapping[str, str]) -> Answer:
    """Ask an endpoint as InvokeEndpoint does. form: of HEADERS those that the person filled in."""
    headers = {"content-type": _type(given), "accept": "application/json"}
    for field, header in HEADERS.items():
        if form.get(field):
            headers[f"{PREFIX}{header}".lower()] = form[field]
    picture = _picture(given.body)
    began = time.monotonic()
    try:
        found = invocations.invoke(platform, endpoint, given.body, headers)
    except ApiError as error:
        return Answer(given.name, picture, _since(began), error=error.message)
    text = found.body.decode("utf-8", "replace")
    first = _prediction(text)
    return Answer(
        file=given.name,
        picture=picture,
        took_ms=_since(began),
        variant=found.headers.get("x-Amzn-Invoked-Production-Variant", ""),
        media_type=found.headers["Content-Type"],
        labels=_labels(first),
        unknown=first.get("known") is False,
        text=_indented(text)[:MOST_LETTERS],
    )


def _type(given: Given) -> str:
    """A photo's type by its bytes; else what the browser says, where that is a type."""
    kind = known_kind(given.body)
    if kind is not None:
        return kind.media_types[0]
    if MEDIA_TYPE.fullmatch(given.media_type):
        return given.media_type
    return ANY_TYPE


def _picture(body: bytes) -> str:
    kind = known_kind(body)
    if kind is None or kind.name not in SHOWN_BY_BROWSERS or len(body) > MOST_SHOWN:
        return ""
    return f"data:{kind.media_types[0]};base64,{base64.b64encode(body).decode('ascii')}"


def _since(began: float) -> int:
    return round(1000 * (time.monotonic() - began))


def _prediction(text: str) -> Record:
    """The first prediction of an answer of slipway-serve's; empty for another answer."""
    try:
        first = read_json(text)["predictions"][0]
    except (ValueError, LookupError, TypeError):
        return {}
    if not isinstance(first, dict):
        return {}
    return first


def _labels(prediction: Record) -> tuple[Label, ...]:
    """The labels, the best first."""
    best = prediction.get("top", [prediction])
    try:
        return tuple(
            Label(str(one["label"]), float(one["probability"])) for one in best[:MOST_LABELS]
        )
    except (LookupError, TypeError, ValueError):
        return ()


def _indented(text: str) -> str:
    try:
        return json.dumps(read_json(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
