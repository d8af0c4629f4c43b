"""Odd parameters of Content-Type and Content-Disposition: never an error of the server's."""

import time

import pytest

from web.exchange import Failure, Request
from web.photos import MAX_HEADER, classify_request_of, header_value

JPEG = b"\xff\xd8\xffphoto"
ODD = [
    "name*=idna''%ff",
    "name*=undefined''x",
    "name*0*=undefined''x; name*1=y",
    "filename*=utf-8\x00''x",
    "filename*=\x00''x",
    "filename*=bogus'en'x",
    "filename*=utf-16''%ff",
    "filename*=hex''zz",
    "filename*=unicode_escape''%5cN",
    "filename*='",
    "filename*=",
    "filename*",
    "filename*1=a; filename*x=b",
    "filename*99999999999999999999=a",
    "filename*" + "9" * 5000 + "=a",
    "filename*²=x",
    'filename="',
    ";;;=;=x;",
    "a*0=x; a*=y",
    "a*=y; a*1=x",
]


def form(disposition: str, boundary: str = "edge") -> bytes:
    head = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode("utf-8", "surrogateescape") + JPEG + f"\r\n--{boundary}--\r\n".encode()


def classified(content_type: str, body: bytes) -> bytes | int:
    """The photo, or the status of the refusal."""
    headers = {"content-type": content_type}
    try:
        return classify_request_of(Request("POST", "/classify", {}, headers, body)).photo
    except Failure as failure:
        return failure.status


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_disposition_is_a_photo_or_a_refusal(odd):
    body = form(f"name=photo; {odd}")
    assert classified("multipart/form-data; boundary=edge", body) in (JPEG, 400)


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_content_type_is_a_photo_or_a_refusal(odd):
    given = f"multipart/form-data; boundary=edge; {odd}"
    assert classified(given, form("name=photo")) in (JPEG, 400)
    assert classified(f"image/jpeg; {odd}", JPEG) in (JPEG, 400)
    assert classified(odd, JPEG) in (JPEG, 400, 415)


@pytest.mark.parametrize("charset", ["undefined", "idna", "hex", "bogus", ""])
def test_an_odd_charset_counts_as_utf_8(charset):
    assert header_value(f"form-data; name*={charset}''caf%C3%A9")[1] == {"name": "café"}


@pytest.mark.parametrize("charset, text", [("UTF-8", "%C3%A9"), ("iso-8859-1", "%e9")])
def test_charsets_of_browsers_are_read(charset, text):
    assert header_value(f"form-data; name*={charset}'fr'caf{text}")[1] == {"name": "café"}


def test_a_long_header_is_refused_at_once():
    body = form(";" * 2_000_000)
    started = time.process_time()
    assert classified("multipart/form-data; boundary=edge", body) == 400
    assert time.process_time() - started < 5
    with pytest.raises(Failure, match=f"more than {MAX_HEADER} characters"):
        header_value("a" * (MAX_HEADER + 1))


def test_deep_json_is_a_refusal():
    for text in (b"[" * 100_000, b'{"b64":' * 65 + b"1" + b"}" * 65):
        assert classified("application/json", text) == 400
