"""From a request's body to one photo: the body itself, a file of a form, or base64 in JSON.

Standard library only, because Lambda has nothing else. It looks only at a photo's first bytes; the
endpoint finds out whether the rest is a photo.
"""

import base64
import binascii
from dataclasses import dataclass
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import Any

from artifact.photos.kinds import KNOWN, PhotoError
from artifact.photos.kinds import kind_of as photo_kind
from artifact.text.json_text import read_json
from web.exchange import JSON_TYPE, Failure, Request

MIB = 1024 * 1024
MAX_BYTES = 10 * MIB  # API Gateway's maximum
TOP_K = 5
MAX_TOP_K = 1000
FORM_TYPE = "multipart/form-data"
MAX_PARTS = 20
MOST_VALUES = 1000  # of a body in JSON
MAX_HEADER = 8192  # characters; the standard library's reader takes quadratic time
CHARSETS = ("utf-8", "us-ascii", "iso-8859-1")  # of RFC 2231's parameters
ANY_PHOTO = ("", "application/octet-stream", "application/x-image")
SEND = f"send a photo as {KNOWN}"
SEND_FORM = "send the photo as `curl -F photo=@photo.jpg` does"
IN_JSON = '{"b64": "<base64 of a photo>"}'


@dataclass(frozen=True)
class ClassifyRequest:
    """photo: encoded. kind: its media type, by its first bytes. top_k: the labels asked for."""

    photo: bytes
    kind: str
    top_k: int = TOP_K


def classify_request_of(request: Request) -> ClassifyRequest:
    """The photo and top_k of a POST /classify.

    Raises Failure 400 for a body that is not of its type or a bad top_k, 413 above MAX_BYTES, 415
    for a body that is not a photo.
    """
    media_type, options = header_value(request.headers.get("content-type", ""))
    top_k: object = request.query.get("top_k")
    if media_type == FORM_TYPE:
        photo, fields = _form(request.body, options.get("boundary", ""))
        top_k = fields.get("top_k", top_k)
    elif media_type == JSON_TYPE:
        document = json_object(request.body, IN_JSON)
        photo = from_base64(document.get("b64"), IN_JSON)
        top_k = document.get("top_k", top_k)
    elif media_type.startswith("image/") or media_type in ANY_PHOTO:
        photo = request.body
    else:
        raise Failure(
            415,
            f"Content-Type '{media_type[:100]}' is not taken; "
            f"{SEND}, as a file of {FORM_TYPE}, or as {JSON_TYPE}: {IN_JSON}",
        )
    return ClassifyRequest(photo, kind_of(photo), top_k_of(top_k))


def kind_of(photo: bytes) -> str:
    """A photo's media type.

    Raises Failure 400 for an empty one, 413 above MAX_BYTES, 415 for what is no photo.
    """
    if not photo:
        raise Failure(400, f"the request has no photo; {SEND}")
    if len(photo) > MAX_BYTES:
        raise Failure(
            413,
            f"the photo has {len(photo) / MIB:.1f} MB; send one of at most {MAX_BYTES // MIB} MB",
        )
    try:
        return photo_kind(photo).media_types[0]
    except PhotoError as error:
        raise Failure(415, f"the file is not taken: {error}") from error


def top_k_of(value: object) -> int:
    """The number of labels asked for; TOP_K for None.

    Raises Failure 400 unless it is a whole number from 1 to MAX_TOP_K.
    """
    if value is None:
        return TOP_K
    text = str(value).strip()
    # isascii: other alphabets have digits, too; the length: int() refuses very long numbers
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    if not is_number or not 1 <= int(text) <= MAX_TOP_K:
        raise Failure(
            400,
            f"top_k is '{text[:20]}'; send a whole number from 1 to {MAX_TOP_K}, such as top_k=5",
        )
    return int(text)


def json_object(body: bytes, expected: str) -> dict[str, Any]:
    """A body that is one JSON object. Raises Failure 400, which shows `expected`."""
    try:
        document = read_json(body, MOST_VALUES)
    except ValueError as error:
        raise Failure(400, f"the body is not JSON ({str(error)[:100]}); send {expected}") from error
    if not isinstance(document, dict):
        raise Failure(400, f"the body is not a JSON object; send {expected}")
    return document


def from_base64(text: object, expected: str) -> bytes:
    """A photo from base64 or a data: URL. Raises Failure 400, which shows `expected`.

    Both alphabets are accepted, with or without padding and line ends.
    """
    if not isinstance(text, str) or not text.strip():
        raise Failure(400, f"the JSON holds no photo in base64; send {expected}")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    text = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Failure(400, f"not base64 ({str(error)[:100]}); send {expected}") from error


def header_value(text: str) -> tuple[str, dict[str, str]]:
    """A header such as `form-data; name="photo"`: its value in lower case, and its parameters.

    A parameter may be written as `filename*=UTF-8''…` (RFC 2231). Raises Failure 400 for a header
    that cannot be read.
    """
    if len(text) > MAX_HEADER:
        raise Failure(400, f"a header of the form has more than {MAX_HEADER} characters")
    message = Message()
    message["x"] = text.replace("\r", " ").replace("\n", " ") or "none"
    try:
        (value, _), *parameters = message.get_params([], header="x")
    # Such as a part's number of thousands of digits, or one part with a number and one without.
    except (ValueError, TypeError) as error:
        raise Failure(400, f"the header '{text[:100]}' cannot be read; {SEND_FORM}") from error
    options = {name.lower(): _parameter(found) for name, found in parameters}
    return (value.strip().lower() if text else ""), options


def _parameter(found: str | tuple[str | None, str | None, str]) -> str:
    """A parameter's text. A charset that no browser sends counts as UTF-8.

    Python knows charsets that decode no text, or raise whatever the errors are to become.
    """
    if isinstance(found, tuple):
        charset, language, text = found
        if (charset or "").lower() not in CHARSETS:
            charset = "utf-8"
        found = (charset, language, text)
    return collapse_rfc2231_value(found)


def _form(body: bytes, boundary: str) -> tuple[bytes, dict[str, str]]:
    """The one file of a form, and its other fields.

    Split by hand: the standard library's mail parser would split a photo into lines of text.
    """
    if not boundary:
        raise Failure(400, f"{FORM_TYPE} needs a boundary; {SEND_FORM}")
    edge = b"\r\n--" + boundary.encode("latin-1", "replace")
    # two more than the parts: the text before the first edge, and "--" after the last
    parts = (b"\r\n" + body).split(edge, MAX_PARTS + 2)
    if len(parts) > MAX_PARTS + 2:
        raise Failure(400, f"the body has more than {MAX_PARTS} parts; {SEND_FORM}")
    if len(parts) < 3 or not parts[-1].startswith(b"--"):
        raise Failure(400, f"the body is not a whole form; {SEND_FORM}")
    files: list[bytes] = []
    fields: dict[str, str] = {}
    for part in parts[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        options = _disposition(head)
        if "filename" in options or options.get("name") == "photo":
            files.append(content)
        else:
            fields[options.get("name", "")] = content.decode("utf-8", "replace")
    if len(files) != 1:
        raise Failure(
            400,
            f"the form holds {len(files)} files; "
            "send one photo, as `curl -F photo=@photo.jpg` does",
        )
    return files[0], fields


def _disposition(head: bytes) -> dict[str, str]:
    """The parameters of a part's Content-Disposition."""
    headers: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    _, options = header_value(headers.get("content-disposition", ""))
    return options
