"""From a request's body and headers to encoded photos, by its content type."""

import io

from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from artifact.photos.kinds import KINDS
from artifact.text.base64_text import bytes_of
from artifact.text.json_text import read_json

ANY_PHOTO = ("application/x-image", "application/octet-stream")
PHOTO_TYPES = (*(kind.media_types[0] for kind in KINDS), *ANY_PHOTO)
JSON_TYPE = "application/json"
LINES_TYPE = "application/jsonlines"
CSV_TYPE = "text/csv"  # of answers alone
FORM_TYPE = "multipart/form-data"
ACCEPTED = (*PHOTO_TYPES, FORM_TYPE, JSON_TYPE, LINES_TYPE)
ALIASES = dict.fromkeys(
    ("application/x-ndjson", "application/jsonl", "application/x-jsonlines"), LINES_TYPE
)
for _kind in KINDS:
    ALIASES |= dict.fromkeys(_kind.media_types, _kind.media_types[0])
MAX_INSTANCES = 1000  # photos in one request
MOST_VALUES = 100 * MAX_INSTANCES  # of JSON, in one request; far more than instances need
VALUE_BYTES = 100  # per value, of a larger document
FORM_TEXT_BYTES = 1_000_000  # of a form, outside its files
TOP_K = 5
TOP_K_DIGITS = 9  # the rest of a longer number is cut off: no model has that many labels
INSTANCE = '{"b64": "<base64 of a photo>"}'
INSTANCES = f'{{"instances": [{INSTANCE}]}}'


class InputError(ValueError):
    """A request that cannot be answered: an HTTP status, and one sentence on what to send."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status


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
    given = _attribute(attributes, "top_k")
    return TOP_K if given is None else _whole_number(given)


def asks_for_saliency(attributes: str | None) -> bool:
    """Whether X-Amzn-SageMaker-Custom-Attributes has `saliency=true`.

    Raises InputError 400 for a value that is neither true nor false.
    """
    given = _attribute(attributes, "saliency")
    if given is None:
        return False
    if given.lower() not in ("true", "false"):
        raise InputError(
            400,
            f"X-Amzn-SageMaker-Custom-Attributes has saliency='{given[:20]}'; "
            "send saliency=true to ask which parts of the photo decide",
        )
    return given.lower() == "true"


def _attribute(attributes: str | None, wanted: str) -> str | None:
    """The first value of that name among `name=value`, with commas or semicolons between."""
    for attribute in (attributes or "").replace(";", ",").split(","):
        name, equals, value = attribute.partition("=")
        if equals and name.strip().lower() == wanted:
            return value.strip()
    return None


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


def json_of(text: bytes, expected: str) -> object:
    """The JSON document in a text. Raises InputError 400, which says what is expected."""
    # Instances have far fewer values, and millions of small ones would fill the memory.
    most_values = max(MOST_VALUES, len(text) // VALUE_BYTES)
    try:
        document: object = read_json(text, most_values)
    except ValueError as error:
        raise InputError(400, f"the body is not JSON ({str(error)[:100]}); {expected}") from error
    return document


def photo_of(instance: object) -> bytes:
    """The encoded photo in an entry: base64 text, or that under "b64". Raises InputError 400."""
    text = instance.get("b64") if isinstance(instance, dict) else instance
    if not isinstance(text, str):
        raise InputError(400, f"no text under 'b64'; send {INSTANCE}")
    try:
        return bytes_of(text)
    except ValueError as error:
        raise InputError(400, f"not base64 ({str(error)[:100]}); send {INSTANCE}") from error


def files_of_form(content_type: str, body: bytes) -> list[bytes]:
    """Every file of a form, in order. Raises InputError 400 or 413."""
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
    photos = [file.stream.read() for _, file in files.items(multi=True)]
    if not photos:
        raise InputError(400, f"the form holds no file; {expected}")
    return photos
