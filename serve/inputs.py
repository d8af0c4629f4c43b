"""From a request's body and headers to encoded photos, by its content type."""

import base64
import binascii
import io
import itertools
import json
import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext

from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

PHOTO_TYPES = (
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/gif",
    "image/bmp",
    "image/tiff",
    "application/x-image",
    "application/octet-stream",
)
JSON_TYPE = "application/json"
LINES_TYPE = "application/jsonlines"
FORM_TYPE = "multipart/form-data"
ACCEPTED = (*PHOTO_TYPES, FORM_TYPE, JSON_TYPE, LINES_TYPE)
ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/x-ms-bmp": "image/bmp",
    "image/x-bmp": "image/bmp",
    "image/tif": "image/tiff",
    "application/x-ndjson": LINES_TYPE,
    "application/jsonl": LINES_TYPE,
    "application/x-jsonlines": LINES_TYPE,
}
MAX_INSTANCES = 1000
LARGE_BYTES = (
    500_000  # JSON unfolds to up to 25 times its size in memory; bodies above this take turns
)
TOP_K = 5
INSTANCE = '{"b64": "<base64 of a photo>"}'

_parsing = threading.Lock()


class InputError(ValueError):
    """A request that cannot be answered: an HTTP status and one sentence on what to send instead."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status


def media_type_of(content_type: str) -> str:
    """The media type of a Content-Type header, lower-case, without parameters; InputError 415 for one that is not taken."""
    found = content_type.partition(";")[0].strip().lower()
    media_type = ALIASES.get(found, found)
    if media_type not in ACCEPTED:
        raise InputError(
            415, f"Content-Type '{found[:100]}' is not taken; send one of {', '.join(ACCEPTED)}"
        )
    return media_type


def top_k_of(attributes: str | None) -> int:
    """How many labels the X-Amzn-SageMaker-Custom-Attributes header asks for by `top_k=N`; InputError 400 for an N below 1."""
    for attribute in (attributes or "").replace(";", ",").split(","):
        name, equals, value = attribute.partition("=")
        if name.strip().lower() == "top_k" and equals:
            if (
                not value.strip().isascii()
                or not value.strip().isdigit()
                or not int(value.strip()[:9]) >= 1
            ):
                raise InputError(
                    400,
                    f"X-Amzn-SageMaker-Custom-Attributes has top_k='{value.strip()[:20]}'; send a whole number from 1, such as top_k=5",
                )
            return int(value.strip()[:9])
    return TOP_K


def photos_of(content_type: str, body: bytes, tolerant: bool = False) -> list[bytes | InputError]:
    """The encoded photos in a body, at least one.

    InputError 415 for a type that is not taken, 413 for more than MAX_INSTANCES, 400 for a body that is not of its type;
    with `tolerant`, what can be told of one record stands in the list in place of its photo.
    """
    media_type = media_type_of(content_type)
    try:
        if not body:
            raise InputError(400, f"the body is empty; send a photo as {media_type}")
        if media_type in (JSON_TYPE, LINES_TYPE):
            with _parsing if len(body) > LARGE_BYTES else nullcontext():
                return (
                    _each(_instances(body), _instance, "instance", tolerant)
                    if media_type == JSON_TYPE
                    else _each(_lines(body), _line, "line", tolerant)
                )
        return _form(content_type, body) if media_type == FORM_TYPE else [body]
    except InputError as error:
        if not tolerant or error.status == 413:
            raise
        return [error]


def _each(
    items: Iterable, photo: Callable[[object], bytes], name: str, tolerant: bool
) -> list[bytes | InputError]:
    photos: list[bytes | InputError] = []
    for index, item in enumerate(items):
        try:
            photos.append(photo(item))
        except InputError as error:
            refused = InputError(error.status, f"{name} {index}: {error}")
            if not tolerant:
                raise refused from error
            photos.append(refused)
    return photos


def _instances(body: bytes) -> list:
    """What stands for the photos in {"instances": […]}, a bare list, or one object."""
    document = _json(body, f'send {{"instances": [{INSTANCE}]}}')
    if isinstance(document, dict):
        document = (
            document["instances"]
            if "instances" in document
            else [document]
            if "b64" in document
            else document
        )
    if not isinstance(document, list) or not document:
        raise InputError(
            400, f'the JSON holds no list of instances; send {{"instances": [{INSTANCE}]}}'
        )
    return _few(document, "instances")


def _lines(body: bytes) -> list[bytes]:
    lines = list(
        itertools.islice((line for line in io.BytesIO(body) if line.strip()), MAX_INSTANCES + 1)
    )
    if not lines:
        raise InputError(400, f"the body holds no line; send one {INSTANCE} a line")
    return _few(lines, "lines")


def _few(items: list, name: str) -> list:
    if len(items) > MAX_INSTANCES:
        raise InputError(
            413, f"the body holds more than {MAX_INSTANCES} {name}; send fewer at once"
        )
    return items


def _line(line: bytes) -> bytes:
    document = _json(line, f"send one {INSTANCE} a line")
    if (
        isinstance(document, dict)
        and isinstance(document.get("instances"), list)
        and len(document["instances"]) == 1
    ):
        document = document["instances"][0]
    return _instance(document)


def _json(text: bytes, expected: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(400, f"the body is not JSON ({str(error)[:100]}); {expected}") from error


def _instance(instance: object) -> bytes:
    text = instance.get("b64") if isinstance(instance, dict) else instance
    if not isinstance(text, str):
        raise InputError(400, f"no text under 'b64'; send {INSTANCE}")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    # encoders wrap lines, leave the padding out, or use the alphabet of URLs
    text = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(400, f"not base64 ({str(error)[:100]}); send {INSTANCE}") from error


def _form(content_type: str, body: bytes) -> list[bytes]:
    """Every file of a form, in order."""
    expected = "send each photo as a file of the form, as `curl -F photo=@photo.jpg` does"
    mimetype, options = parse_options_header(content_type)
    parser = FormDataParser(
        stream_factory=lambda *_, **__: io.BytesIO(),
        max_form_memory_size=1_000_000,
        max_form_parts=MAX_INSTANCES,
        silent=False,
    )
    try:
        _, _, files = parser.parse(io.BytesIO(body), mimetype, len(body), options)
    except HTTPException as error:
        raise InputError(
            413,
            f"the form holds more than {MAX_INSTANCES} parts, or over 1 MB outside its files; {expected}",
        ) from error
    except ValueError as error:
        raise InputError(400, f"the body is not a form ({str(error)[:100]}); {expected}") from error
    photos = [file.stream.getvalue() for _, file in files.items(multi=True)]
    if not photos:
        raise InputError(400, f"the form holds no file; {expected}")
    return photos
