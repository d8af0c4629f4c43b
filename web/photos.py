"""From the body of a request to one photo: as it is, as a file of a form, or in base64 in JSON. Standard library only, since
Lambda has no more. It looks at the first bytes alone: whether the rest is a photo, the endpoint tells.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from email.message import Message
from email.utils import collapse_rfc2231_value

from web.exchange import JSON_TYPE, Failure, Request

MAX_BYTES = 10 * 1024 * 1024  # what API Gateway takes
TOP_K = 5
MAX_TOP_K = 1000
FORM_TYPE = "multipart/form-data"
MAX_PARTS = 20
KINDS = (
    ("image/jpeg", rb"\xff\xd8\xff"),
    ("image/png", rb"\x89PNG\r\n\x1a\n"),
    ("image/gif", rb"GIF8[79]a"),
    ("image/webp", rb"RIFF....WEBP"),
    ("image/bmp", rb"BM"),
    ("image/tiff", rb"II\*\x00|MM\x00\*"),
)
SEND = "send a photo as JPEG, PNG, WebP, GIF, BMP or TIFF"
IN_JSON = '{"b64": "<base64 of a photo>"}'


@dataclass(frozen=True)
class ClassifyRequest:
    """photo: encoded; kind: its media type, by its first bytes; top_k: how many labels are asked for."""

    photo: bytes
    kind: str
    top_k: int = TOP_K


def classify_request_of(request: Request) -> ClassifyRequest:
    """What a POST /classify asks for. Failure 400 for a body that is not of its type or no good top_k, 413 above MAX_BYTES, 415 for no photo."""
    media_type, options = header_value(request.headers.get("content-type", ""))
    fields: dict = dict(request.query)
    if media_type == FORM_TYPE:
        photo, others = _form(request.body, options.get("boundary", ""))
        fields |= others
    elif media_type == JSON_TYPE:
        document = json_object(request.body, IN_JSON)
        photo = from_base64(document.get("b64"), IN_JSON)
        fields |= {name: value for name, value in document.items() if name == "top_k"}
    elif media_type.startswith("image/") or media_type in (
        "",
        "application/octet-stream",
        "application/x-image",
    ):
        photo = request.body
    else:
        raise Failure(
            415,
            f"Content-Type '{media_type[:100]}' is not taken; {SEND}, as a file of {FORM_TYPE}, or as {JSON_TYPE}: {IN_JSON}",
        )
    return ClassifyRequest(photo, kind_of(photo), top_k_of(fields.get("top_k")))


def kind_of(photo: bytes) -> str:
    """A photo's media type. Failure 400 for nothing, 413 above MAX_BYTES, 415 for what is none of KINDS."""
    if not photo:
        raise Failure(400, f"there is no photo in the request; {SEND}")
    if len(photo) > MAX_BYTES:
        raise Failure(
            413,
            f"the photo has {len(photo) / 1024 / 1024:.1f} MB; send one of at most {MAX_BYTES // 1024 // 1024} MB",
        )
    for kind, start in KINDS:
        if re.match(start, photo, re.DOTALL):
            return kind
    if photo[4:8] == b"ftyp" and photo[8:12] in (b"heic", b"heix", b"mif1", b"avif", b"hevc"):
        raise Failure(415, "HEIC and AVIF photos are not taken; save it as JPEG and send that")
    raise Failure(415, f"that is no photo of a kind that is taken; {SEND}")


def top_k_of(value: object) -> int:
    """How many labels are asked for; TOP_K where nothing is. Failure 400 unless it is a whole number from 1 to MAX_TOP_K."""
    text = "" if value is None else str(value).strip()
    if value is None:
        return TOP_K
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= MAX_TOP_K):
        raise Failure(
            400,
            f"top_k is '{text[:20]}'; send a whole number from 1 to {MAX_TOP_K}, such as top_k=5",
        )
    return int(text)


def json_object(body: bytes, expected: str) -> dict:
    """A body that is one JSON object. Failure 400, which shows `expected`."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Failure(400, f"the body is not JSON ({str(error)[:100]}); send {expected}") from error
    if not isinstance(document, dict):
        raise Failure(400, f"the body is no JSON object; send {expected}")
    return document


def from_base64(text: object, expected: str) -> bytes:
    """A photo out of base64 text or a data: URL, in either alphabet, with or without padding and line ends. Failure 400, which shows `expected`."""
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
    """A header such as `form-data; name="photo"`: its value in lower case, and its parameters by name; `filename*=UTF-8''…` is one, too."""
    message = Message()
    message["x"] = text.replace("\r", " ").replace("\n", " ") or "none"
    (value, _), *parameters = message.get_params(header="x")
    return ("" if not text else value.strip().lower()), {
        name.lower(): collapse_rfc2231_value(value) for name, value in parameters
    }


def _form(body: bytes, boundary: str) -> tuple[bytes, dict[str, str]]:
    """The one file of a form, and its other fields. Split by hand: the standard library's mail parser takes a form to lines of text."""
    if not boundary:
        raise Failure(
            400, f"{FORM_TYPE} needs a boundary; send the photo as `curl -F photo=@photo.jpg` does"
        )
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1", "replace"), MAX_PARTS + 2)
    if len(parts) < 3 or not parts[-1].startswith(b"--"):
        what = "has more than 20 parts" if len(parts) > MAX_PARTS + 2 else "is not a whole form"
        raise Failure(400, f"the body {what}; send the photo as `curl -F photo=@photo.jpg` does")
    files, fields = [], {}
    for part in parts[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        headers = dict(
            line.split(":", 1)
            for line in head.decode("utf-8", "replace").split("\r\n")
            if ":" in line
        )
        _, options = header_value(
            {name.strip().lower(): value.strip() for name, value in headers.items()}.get(
                "content-disposition", ""
            )
        )
        if "filename" in options or options.get("name") == "photo":
            files.append(content)
        else:
            fields[options.get("name", "")] = content.decode("utf-8", "replace")
    if len(files) != 1:
        raise Failure(
            400,
            f"the form holds {len(files)} files; send one photo, as `curl -F photo=@photo.jpg` does",
        )
    return files[0], fields
