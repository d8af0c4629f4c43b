"""Bodies and headers of requests at the bounds of what is read."""

import json
import threading

import pytest

from serve import records
from serve.answering import answer_type
from serve.inputs import InputError, media_type_of, top_k_of
from tests.serve.test_inputs import form
from tests.support.bodies import photos_of, render

FORM = "multipart/form-data; boundary=edge"


@pytest.mark.parametrize(
    "content_type, media_type",
    [
        # Names that old browsers and programs send.
        ("image/pjpeg", "image/jpeg"),
        ("image/x-png", "image/png"),
        ("image/x-ms-bmp", "image/bmp"),
        ("image/x-bmp", "image/bmp"),
        ("image/tif", "image/tiff"),
        ("application/jsonl", "application/jsonlines"),
        ("application/x-jsonlines", "application/jsonlines"),
        ("Application/JSON;charset=x;y", "application/json"),
    ],
)
def test_other_names_of_a_type_are_taken(content_type, media_type):
    assert media_type_of(content_type) == media_type


def test_a_long_type_is_cut_in_the_sentence():
    with pytest.raises(InputError) as caught:
        media_type_of("a" * 101)
    assert f"'{'a' * 100}' is not taken" in str(caught.value)


@pytest.mark.parametrize("digits, expected", [("1", 1), ("123456789", 123456789)])
def test_top_k_of_nine_digits(digits, expected):
    assert top_k_of(f"top_k={digits}") == expected
    # Only nine digits are read.
    assert top_k_of(f"a=b;top_k={digits}0000000000") >= expected


def test_a_long_top_k_is_cut_in_the_sentence():
    with pytest.raises(InputError) as caught:
        top_k_of("top_k=" + "x" * 21)
    assert f"has top_k='{'x' * 20}'; send a whole number from 1, such as top_k=5" in str(
        caught.value
    )


@pytest.mark.parametrize(
    "content_type, body",
    [
        ("application/json", json.dumps(["aaaa"] * 1000).encode()),
        ("application/jsonlines", b'"aaaa"\n' * 1000),
        (FORM, form(*[b"x"] * 1000)),
    ],
)
def test_a_thousand_photos_are_taken(content_type, body):
    assert len(photos_of(content_type, body)) == 1000


def test_too_many_photos_are_refused_in_batch_transform_too():
    with pytest.raises(InputError) as caught:
        photos_of("application/jsonlines", b'"aaaa"\n' * 1001, tolerant=True)
    assert caught.value.status == 413


@pytest.mark.parametrize("length, taken", [(999_000, True), (1_000_100, False)])
def test_a_form_holds_a_megabyte_of_text(length, taken):
    head = b'--edge\r\nContent-Disposition: form-data; name="text"\r\n\r\n'
    body = head + b"x" * length + b"\r\n" + form(b"photo")
    if taken:
        assert photos_of(FORM, body) == [b"photo"]
        return
    with pytest.raises(InputError, match="over 1 MB outside its files") as caught:
        photos_of(FORM, body)
    assert caught.value.status == 413


@pytest.mark.parametrize("length, alone", [(500_000, False), (500_001, True)])
def test_large_bodies_are_parsed_one_after_the_other(monkeypatch, length, alone):
    lock = threading.Lock()
    held: list[bool] = []
    monkeypatch.setattr(records, "_parsing", lock)

    def parsed(body: bytes, most: int | None) -> list[object]:
        held.append(lock.locked())
        # "aaaa" is the base64 of three bytes.
        return ["aaaa"]

    monkeypatch.setattr(records, "_entries", parsed)
    assert photos_of("application/json", b"x" * length) == [b"i\xa6\x9a"]
    assert held == [alone]
    assert not lock.locked()


@pytest.mark.parametrize(
    "record, photo",
    [
        ({"instances": ["aaaa"]}, b"i\xa6\x9a"),
        ({"b64": "data:image/png;base64,aaaa"}, b"i\xa6\x9a"),
        ("a-_a", b"k\xef\xda"),
        ("aa", b"i"),
        ("aaa=", b"i\xa6"),
        (" aa\naa ", b"i\xa6\x9a"),
        ("", b""),
    ],
)
def test_base64_in_all_its_ways(record, photo):
    assert photos_of("application/jsonlines", json.dumps(record).encode()) == [photo]


@pytest.mark.parametrize(
    "record", [{"instances": []}, {"instances": ["aaaa", "aaaa"]}, {"instances": "aaaa"}, 1, None]
)
def test_a_line_holds_one_photo(record):
    with pytest.raises(InputError, match="line 1: no text under 'b64'"):
        photos_of("application/jsonlines", json.dumps(record).encode())


def test_long_errors_are_cut(monkeypatch):
    def failing(*arguments: object, **options: object) -> None:
        raise ValueError("y" * 101)

    for module in ("read_json", "bytes_of"):
        with monkeypatch.context() as patch:
            patch.setattr(f"serve.inputs.{module}", failing)
            with pytest.raises(InputError) as caught:
                photos_of("application/json", b'{"b64": "aaaa"}')
        assert f"({'y' * 100})" in str(caught.value)
    with pytest.raises(InputError) as caught:
        answer_type("z" * 101, "image/jpeg")
    assert f"Accept '{'z' * 100}' cannot be met" in str(caught.value)


def test_an_empty_accept_is_none():
    assert answer_type(" ", "application/jsonlines") == "application/jsonlines"
    assert answer_type("", "image/png") == "application/json"


def test_letters_stay_as_they_are():
    assert (
        render([{"error": "ü"}], "application/json")
        == '{"predictions": [{"error": "ü"}]}\n'.encode()
    )
    assert render([{"error": "ü"}] * 2, "application/jsonlines") == '{"error": "ü"}\n'.encode() * 2
