"""Everything that reads a request before a photo is decoded, called with any bytes.

What is allowed: an answer, or the parser's own refusal. Anything else would be a 500.
"""

import random
from collections.abc import Callable
from contextlib import suppress

from artifact.text.json_text import read_json
from serve.inputs import InputError, media_type_of, top_k_of
from tests.fuzz.mutations import flipped
from tests.support.bodies import photos_of
from web.aws.handler import request_of
from web.exchange import Failure, Request
from web.photos import classify_request_of

PHOTO = b"\xff\xd8\xff\xe0 a photo"
FORM = (
    b'--edge\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n'
    b"Content-Type: image/jpeg\r\n\r\n" + PHOTO + b"\r\n--edge\r\n"
    b"Content-Disposition: form-data; name=\"top_k\"; filename*=UTF-8''a%20b\r\n\r\n"
    b"3\r\n--edge--\r\n"
)
# Content-Type and body: valid ones to begin with.
REQUESTS = (
    (b"image/jpeg", PHOTO),
    (b"application/json", b'{"instances": [{"b64": "/9j/4A=="}], "top_k": 3}'),
    (b"application/json", b'{"b64": "data:image/jpeg;base64,/9j/4A"}'),
    (b"application/jsonlines", b'{"b64": "/9j/4A=="}\n{"instances": [{"b64": "/9j_4A"}]}\n'),
    (b"multipart/form-data; boundary=edge", FORM),
    (b"multipart/form-data; boundary*=UTF-8''edge", FORM),
    (b"multipart/form-data; boundary*0=ed; boundary*1=ge", FORM),
)
# Pieces that parsers of headers, JSON and forms stumble over.
PIECES = (
    *(b"*=UTF-8''%zz", b"*0*=x''", b"*1=y", b"*=", b"'", b'"', b"\\", b";", b"=", b"\r\n", b"\0"),
    *(b"\xff", b"\xed\xa0\x80", b"\\ud800", b"%", b"[" * 100, b'{"a":' * 100, b"1e999", b"NaN"),
    *(b"-0", b"9" * 5000, b"--edge", b"--edge--", b"\xe2\x80\xa8", b"charset=utf-7", b"top_k="),
    *(b"unknown-charset''", b"*=nonsense'en'%41", b"*99999999999=z", b"\t", b"=?utf-8?b?/w==?="),
)


def parse(header: bytes, body: bytes) -> None:
    """Give a header and a body to each parser. An exception that none of them may raise passes."""
    text = header.decode("latin-1")
    allowed(lambda: photos_of(text, body))
    allowed(lambda: photos_of(text, body, tolerant=True))
    allowed(lambda: media_type_of(text))
    allowed(lambda: top_k_of(text))
    with suppress(ValueError):  # its own refusal
        read_json(body)
    headers = {"content-type": text}
    allowed(
        lambda: classify_request_of(Request("POST", "/classify", {"top_k": text}, headers, body))
    )
    event = {
        "requestContext": {"http": {"method": "POST"}, "stage": "$default"},
        "rawPath": "/classify",
        "rawQueryString": text,
        "headers": headers,
        "body": body.decode("utf-8", "replace"),
    }
    allowed(lambda: classify_request_of(request_of(event)))
    allowed(lambda: request_of({**event, "isBase64Encoded": True}))


def allowed(call: Callable[[], object]) -> None:
    with suppress(InputError, Failure):
        call()


def request_case(seed: int, number: int) -> tuple[bytes, bytes]:
    """Content-Type and body of one case; the same for the same seed and number."""
    chance = random.Random(f"request/{seed}/{number}")
    header, body = chance.choice(REQUESTS)
    for _ in range(chance.choice((1, 1, 2, 3))):
        if chance.random() < 0.5:
            header = spoiled(chance, header)
        else:
            body = spoiled(chance, body)
    return header, body


def spoiled(chance: random.Random, text: bytes) -> bytes:
    """A text with a hostile piece in it, or with some bytes changed."""
    if chance.random() < 0.3:
        return flipped(chance, text)
    at = chance.randrange(len(text) + 1)
    cut = chance.choice((0, 0, 1, 4))
    return text[:at] + chance.choice(PIECES) + text[at + cut :]
