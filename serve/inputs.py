"""From a request's body and headers to encoded photos, by its content type."""

import base64
import binascii
import io
import itertools
import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import TypeVar

from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from artifact.json_text import read_json
from artifact.photo_kinds import KINDS

ANY_PHOTO = ("application/x-image", "application/octet-stream")
PHOTO_TYPES = (*(kind.media_types[0] for kind in KINDS), *ANY_PHOTO)
JSON_TYPE = "application/json"
LINES_TYPE = "application/jsonlines"
FORM_TYPE = "multipart/form-data"
ACCEPTED = (*PHOTO_TYPES, FORM_TYPE, JSON_TYPE, LINES_TYPE)
ALIASES = {
    **{alias: kind.media_types[0] for kind in KINDS for alias in kind.media_types},
    "application/x-ndjson": LINES_TYPE,
    "application/jsonl": LINES_TYPE,
    "application/x-jsonlines": LINES_TYPE,
}
MAX_INSTANCES = 1000  # photos in one request
MOST_VALUES = 100 * MAX_INSTANCES  # of JSON, in one request; far more than instances need
# JSON takes up to 25 times its size in memory; bodies above this are parsed one after the other.
LARGE_BYTES = 500_000
FORM_TEXT_BYTES = 1_000_000  # of a form, outside its files
TOP_K = 5
TOP_K_DIGITS = 9  # the rest of a longer number is cut off: no model has that many labels
INSTANCE = '{"b64": "<base64 of a photo>"}'
INSTANCES = f'{{"instances": [{INSTANCE}]}}'

_parsing = threading.Lock()


class InputError(ValueError):
    """A request that cannot be answered: an HTTP status, and one sentence on what to send."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status


Photos = list[bytes | Exception]  # an exception: the error of that record
Item = TypeVar("Item")


def media_type_of(content_type: str) -> str:
    """The media type of a Content-Type header, in lower case, without parameters.

    Raises InputError 415 for a type that is not in ACCEPTED.
    """
    found = content_type.partition(";")[0].strip().lower()
    media_type = ALIASES.get(found, found)
    if media_type not in ACCEPTED:
        raise InputError(
            415, f"Content-Type '{found[:100]}' is not taken; send one of {', '.join(ACCEPTED)}"
        )
    return media_type


def top_k_of(attributes: str | None) -> int:
    """The number of labels that X-Amzn-SageMaker-Custom-Attributes asks for by `top_k=N`.

    TOP_K without the header. Raises InputError 400 for an N that is not a whole number from 1.
    """
    for attribute in (attributes or "").replace(";", ",").split(","):
        name, equals, value = attribute.partition("=")
        if equals and name.strip().lower() == "top_k":
            return _whole_number(value.strip())
    return TOP_K


def _whole_number(text: str) -> int:
    digits = text[:TOP_K_DIGITS]
    # isascii: other alphabets have digits, too
    if not text.isascii() or not text.isdigit() or int(digits) < 1:
        raise InputError(
            400,
            f"X-Amzn-SageMaker-Custom-Attributes has top_k='{text[:20]}'; "
            "send a whole number from 1, such as top_k=5",
        )
    return int(digits)


def photos_of(content_type: str, body: bytes, tolerant: bool = False) -> Photos:
    """The encoded photos in a body, at least one.

    Raises InputError 415 for a type that is not accepted, 413 for more than MAX_INSTANCES, 400 for
    a body that is not of its type. With tolerant, the error of one record stands in its place.
    """
    media_type = media_type_of(content_type)
    try:
        return _photos(media_type, content_type, body, tolerant)
    except InputError as error:
        if not tolerant or error.status == 413:
            raise
        return [error]


def _photos(media_type: str, content_type: str, body: bytes, tolerant: bool) -> Photos:
    if not body:
        raise InputError(400, f"the body is empty; send a photo as {media_type}")
    if media_type == FORM_TYPE:
        return _form(content_type, body)
    if media_type not in (JSON_TYPE, LINES_TYPE):
        return [body]
    with _parsing if len(body) > LARGE_BYTES else nullcontext():
        if media_type == JSON_TYPE:
            return _each(_instances(body), _instance, "instance", tolerant)
        return _each(_lines(body), _line, "line", tolerant)


def _each(
    items: Iterable[Item], photo: Callable[[Item], bytes], name: str, tolerant: bool
) -> Photos:
    photos: Photos = []
    for index, item in enumerate(items):
        try:
            photos.append(photo(item))
        except InputError as error:
            refused = InputError(error.status, f"{name} {index}: {error}")
            if not tolerant:
                raise refused from error
            photos.append(refused)
    return photos


def _instances(body: bytes) -> list[object]:
    """The photos' entries in {"instances": […]}, in a bare list, or in one object."""
    document = _json(body, f"send {INSTANCES}")
    if isinstance(document, dict):
        if "instances" in document:
            document = document["instances"]
        elif "b64" in document:
            document = [document]
    if not isinstance(document, list) or not document:
        raise InputError(400, f"the JSON holds no list of instances; send {INSTANCES}")
    _check_count(len(document), "instances")
    return document


def _lines(body: bytes) -> list[bytes]:
    filled = (line for line in io.BytesIO(body) if line.strip())
    lines = list(itertools.islice(filled, MAX_INSTANCES + 1))
    if not lines:
        raise InputError(400, f"the body holds no line; send one {INSTANCE} per line")
    _check_count(len(lines), "lines")
    return lines


def _check_count(count: int, name: str) -> None:
    if count > MAX_INSTANCES:
        raise InputError(
            413, f"the body holds more than {MAX_INSTANCES} {name}; send fewer at once"
        )


def _line(line: bytes) -> bytes:
    document = _json(line, f"send one {INSTANCE} per line")
    if isinstance(document, dict):
        instances = document.get("instances")
        if isinstance(instances, list) and len(instances) == 1:
            document = instances[0]
    return _instance(document)


def _json(text: bytes, expected: str) -> object:
    try:
        document: object = read_json(text, MOST_VALUES)
    except ValueError as error:
        raise InputError(400, f"the body is not JSON ({str(error)[:100]}); {expected}") from error
    return document


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


def _form(content_type: str, body: bytes) -> Photos:
    """Every file of a form, in order."""
    expected = "send each photo as a file of the form, as `curl -F photo=@photo.jpg` does"
    mimetype, options = parse_options_header(content_type)
    parser = FormDataParser(
        stream_factory=lambda *_, **__: io.BytesIO(),  # never a temporary file
        max_form_memory_size=FORM_TEXT_BYTES,
        max_form_parts=MAX_INSTANCES,
        silent=False,
    )
    try:
        _, _, files = parser.parse(io.BytesIO(body), mimetype, len(body), options)
    except HTTPException as error:
        raise InputError(
            413,
            f"the form holds more than {MAX_INSTANCES} parts, or over 1 MB outside its files; "
            f"{expected}",
        ) from error
    except ValueError as error:
        raise InputError(400, f"the body is not a form ({str(error)[:100]}); {expected}") from error
    photos: Photos = [file.stream.read() for _, file in files.items(multi=True)]
    if not photos:
        raise InputError(400, f"the form holds no file; {expected}")
    return photos
