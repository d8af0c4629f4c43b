"""Requests to photos and predictions to answers: every content type, and wrong requests."""

import json

import pytest

from artifact.answers import Prediction
from serve.answering import answer_type
from serve.inputs import ACCEPTED, InputError, asks_for_saliency, top_k_of
from tests.support.bodies import photos_of, render
from tests.support.servers import b64, instances

# What is in a photo does not matter here.
BODY = b"\xff\xd8 not looked into here"
PREDICTIONS: list[Prediction] = [
    {
        "label": "a, b",
        "probability": 0.75,
        "top": [{"label": "a, b", "probability": 0.75}, {"label": "ü", "probability": 0.25}],
    },
    {"error": "the photo cannot be used: it is empty (0 bytes)"},
]


def form(*photos: bytes) -> bytes:
    parts = b"".join(
        b'--edge\r\nContent-Disposition: form-data; name="photo"; filename="p"\r\n\r\n'
        + data
        + b"\r\n"
        for data in photos
    )
    return parts + b"--edge--\r\n"


@pytest.mark.parametrize(
    "content_type",
    [
        "image/jpeg",
        "image/png",
        "image/webp",
        "image/gif",
        "image/bmp",
        "image/tiff",
        "application/x-image",
        "application/octet-stream",
        "image/jpg",
        "IMAGE/JPEG",
        # Media types have parameters, and no case.
        "image/jpeg; charset=utf-8",
        " image/png ;q=1",
    ],
)
def test_a_photo_is_the_body(content_type):
    assert photos_of(content_type, BODY) == [BODY]


@pytest.mark.parametrize(
    "content_type, body, count",
    [
        ("application/json", instances(BODY, BODY), 2),
        ("application/json; charset=utf-8", json.dumps([{"b64": b64(BODY)}]).encode(), 1),
        ("application/json", json.dumps({"b64": b64(BODY)}).encode(), 1),
        (
            "application/json",
            json.dumps(
                {"instances": [b64(BODY), {"b64": f"data:image/jpeg;base64,{b64(BODY)}"}]}
            ).encode(),
            2,
        ),
        (
            "application/json",
            json.dumps(
                # Encoders wrap lines and leave out the padding.
                {"instances": [b64(BODY)[:10] + "\n" + b64(BODY)[10:].rstrip("=")]}
            ).encode(),
            1,
        ),
        (
            "application/json",
            # The alphabet of URLs.
            json.dumps({"b64": b64(BODY).replace("+", "-").replace("/", "_")}).encode(),
            1,
        ),
        (
            "application/jsonlines",
            # An empty line between two records.
            json.dumps({"b64": b64(BODY)}).encode() + b"\n\r\n" + json.dumps(b64(BODY)).encode(),
            2,
        ),
        ("application/x-ndjson", instances(BODY) + b"\n", 1),
        ("multipart/form-data; boundary=edge", form(BODY, BODY, BODY), 3),
        ("multipart/form-data; boundary=edge", form(BODY * 40_000), None),
    ],
)
def test_many_photos_in_one_body(content_type, body, count):
    assert photos_of(content_type, body) == ([BODY] * count if count else [BODY * 40_000])


@pytest.mark.parametrize(
    "content_type, body, status, words",
    [
        ("text/csv", b"1,2", 415, "Content-Type 'text/csv' is not taken; send one of image/jpeg"),
        ("", BODY, 415, "send one of"),
        ("image/jpeg", b"", 400, "the body is empty"),
        ("application/json", b"{", 400, "not JSON"),
        # A reader that calls itself would run out of stack.
        ("application/json", b"[" * 9000, 400, "not JSON"),
        # Python reads no integer of so many digits.
        ("application/json", b"1" * 5000, 400, "not JSON"),
        ("application/json", b"\xff\xfe", 400, "not JSON"),
        ("application/json", b'"text"', 400, "no list of instances"),
        ("application/json", b'{"instances": []}', 400, "no list of instances"),
        ("application/json", b'{"instances": {"b64": "x"}}', 400, "no list of instances"),
        ("application/json", b'{"instances": [1]}', 400, "instance 0: no text under 'b64'"),
        ("application/json", b'[{"b64": 5}]', 400, "instance 0: no text"),
        (
            "application/json",
            b'{"instances": ["aaaa", {"b64": "%%%"}]}',
            400,
            "instance 1: not base64",
        ),
        ("application/json", '{"b64": "ü"}'.encode(), 400, "instance 0: not base64"),
        ("application/json", json.dumps([{}] * 1001).encode(), 413, "more than 1000 instances"),
        ("application/jsonlines", b"{}\n" * 1001, 413, "more than 1000 lines"),
        # Line ends alone: much to read, and nothing in it.
        ("application/jsonlines", b"\n" * 900_000, 400, "holds no line"),
        ("application/jsonlines", b" \n", 400, "holds no line"),
        ("application/jsonlines", b'{"b64": "aaaa"}\n{"b64"', 400, "line 2: the body is not JSON"),
        ("multipart/form-data", form(BODY), 400, "not a form"),
        ("multipart/form-data; boundary=edge", b"nothing", 400, "form"),
        ("multipart/form-data; boundary=edge", form(*[b"x"] * 1001), 413, "more than 1000 parts"),
        (
            "multipart/form-data; boundary=edge",
            b'--edge\r\nContent-Disposition: form-data; name="top_k"\r\n\r\n5\r\n--edge--\r\n',
            400,
            "holds no file",
        ),
    ],
)
def test_a_body_that_is_not_of_its_type_is_told_in_one_sentence(content_type, body, status, words):
    with pytest.raises(InputError, match=r"[^\n]+") as caught:
        photos_of(content_type, body)
    assert caught.value.status == status
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_in_batch_transform_a_bad_record_stands_in_its_place():
    records = photos_of(
        "application/jsonlines", b'{"b64": "aaaa"}\n{"b64\n{"b64": "%"}\n"aaaa"', tolerant=True
    )
    assert [type(record).__name__ for record in records] == [
        "bytes",
        "InputError",
        "InputError",
        "bytes",
    ]
    assert [str(record) for record in photos_of("image/jpeg", b"", tolerant=True)] == [
        "the body is empty; send a photo as image/jpeg"
    ]
    assert len(photos_of("application/json", b"{", tolerant=True)) == 1
    with pytest.raises(
        InputError, match="is not taken"
    ):  # a wrong setting of the whole job, not a bad record
        photos_of("text/csv", b"1", tolerant=True)


@pytest.mark.parametrize(
    "attributes, expected",
    [
        (None, 5),
        ("", 5),
        ("top_k=1", 1),
        ("trace=7;top_k = 3", 3),
        ("TOP_K=12,other", 12),
        ("top_k", 5),
        ("top_k=999999999999", 999999999),
        ("stop_k=2", 5),
    ],
)
def test_top_k_is_read_from_the_custom_attributes(attributes, expected):
    assert top_k_of(attributes) == expected


# The last two are digits of other scripts.
@pytest.mark.parametrize("value", ["0", "-1", "x", "", "1.5", "²", "١"])
def test_a_top_k_that_makes_no_sense_is_told(value):
    with pytest.raises(InputError, match="send a whole number from 1") as caught:
        top_k_of(f"top_k={value}")
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "accept, request_type, expected",
    [
        (None, "image/jpeg", "application/json"),
        ("*/*", "image/jpeg", "application/json"),
        # Lines in, lines out.
        ("*/*", "application/jsonlines", "application/jsonlines"),
        ("application/*", "image/png", "application/json"),
        ("text/csv", "image/jpeg", "text/csv"),
        ("text/*;q=0.5, application/json;q=0.4", "image/jpeg", "text/csv"),
        ("application/json; charset=utf-8", "application/jsonlines", "application/json"),
        ("application/jsonlines", "application/json", "application/jsonlines"),
    ],
)
def test_the_answers_type_is_what_the_client_accepts(accept, request_type, expected):
    assert answer_type(accept, request_type) == expected


@pytest.mark.parametrize(
    # q=0 refuses a type.
    "accept",
    ["image/png", "text/html, application/xml", "application/json;q=0", "nonsense"],
)
def test_an_accept_that_cannot_be_met_is_a_406(accept):
    with pytest.raises(
        InputError,
        match=r"ask for one of application/json, application/jsonlines, text/csv or \*/\*",
    ) as caught:
        answer_type(accept, "image/jpeg")
    assert caught.value.status == 406


def test_answers_are_written_in_each_type():
    assert json.loads(render(PREDICTIONS, "application/json")) == {"predictions": PREDICTIONS}
    assert [
        json.loads(line) for line in render(PREDICTIONS, "application/jsonlines").splitlines()
    ] == PREDICTIONS
    assert (
        render(PREDICTIONS, "text/csv").decode()
        == '"a, b",0.75,ü,0.25\nerror,the photo cannot be used: it is empty (0 bytes)\n'
    )


def test_everything_accepted_is_named_once():
    assert len(set(ACCEPTED)) == len(ACCEPTED) == 15


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (None, False),
        ("top_k=3", False),
        ("saliency=true", True),
        ("top_k=3; Saliency = TRUE", True),
        ("saliency=false", False),
        ("no_saliency=true", False),
    ],
)
def test_saliency_is_read_from_the_custom_attributes(attributes, expected):
    assert asks_for_saliency(attributes) is expected


def test_a_saliency_that_is_neither_true_nor_false_is_refused():
    with pytest.raises(InputError, match="saliency='1'; send saliency=true") as caught:
        asks_for_saliency("saliency=1")
    assert caught.value.status == 400
