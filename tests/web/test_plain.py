"""What the page says without JavaScript: the model, the command, the form and its answer."""

import json
from typing import Any

import pytest

from tests.web.test_bounds import JPEG
from web.exchange import Request
from web.model import Model, Sample
from web.plain import Facts, answer_of, curl_line, refusal
from web.site import Site

FORM = {"content-type": "multipart/form-data; boundary=edge", "host": "example.org"}


def form(photo: bytes) -> bytes:
    head = b'--edge\r\nContent-Disposition: form-data; name="photo"; filename="1.jpg"\r\n\r\n'
    return head + photo + b"\r\n--edge--\r\n"


def site(facts: Facts | None = None, **prediction: object) -> Site:
    found: Any = {"label": "Red_dog", "probability": 0.9, "top": [], **prediction}
    found["top"] = [{"label": found["label"], "probability": found["probability"]}]
    sample = Sample("truth", "n", JPEG)
    return Site(
        Model(lambda photo, kind, top_k: found, lambda: ["a"], lambda: None, lambda: sample),
        facts=facts,
    )


def page(answer: Any) -> str:
    return answer.body.decode()


@pytest.mark.parametrize(
    "headers, url",
    [
        ({"host": "127.0.0.1:8080"}, "http://127.0.0.1:8080/classify"),
        ({"host": "a.example", "x-forwarded-proto": "https"}, "https://a.example/classify"),
        ({"host": "[::1]:80"}, "'http://[::1]:80/classify'"),
        ({"host": "a'; rm -rf ~ #", "x-forwarded-proto": "gopher"}, "http://127.0.0.1:8080/classi"),
        ({}, "http://127.0.0.1:8080/classify"),
    ],
)
def test_the_command_has_the_address_of_the_request(headers, url):
    line = curl_line(Facts(), Request("GET", "/", headers=headers))
    assert f" --data-binary @photo.jpg {url}" in line
    key = Facts(header="X-Api-Key: $KEY")
    assert 'curl --header "X-Api-Key: $KEY" ' in curl_line(key, Request("GET", "/"))


def test_the_page_names_its_model():
    facts = Facts("<resnet>", {"validation": 0.5, "test": 0.968}, saliency=True)
    shown = page(site(facts).answer(Request("GET", "/")))
    assert "The model is <b>&lt;resnet&gt;</b>. It is right on <b>96.8 %</b> of its test" in shown
    assert 'data-saliency="yes"' in shown
    assert '<form method="post" action="answer"' in shown
    assert "<!--" not in shown
    bare = page(site(Facts(header="X-Api-Key: $KEY")).answer(Request("GET", "/")))
    assert "The model is" not in bare
    assert "<form method" not in bare
    assert 'data-saliency="no"' in bare


@pytest.mark.parametrize(
    "prediction, title, words",
    [
        ({}, "Red dog", "90.0 %"),
        ({"probability": 0.2}, "Not sure", "Perhaps Red dog, but with only 20.0 %"),
        ({"known": False}, "None of these", "unlike all photos that the model has learned from"),
        ({"labels": ["a_b", "c"]}, "a b, c", "Red dog"),
        ({"labels": []}, "Nothing it is sure of", "Red dog"),
        ({"label": "<i>x"}, "&lt;i&gt;x", "90.0 %"),
    ],
)
def test_a_form_gets_its_answer_in_the_page(prediction, title, words):
    answer = site(**prediction).answer(Request("POST", "/answer", headers=FORM, body=form(JPEG)))
    assert answer.status == 200
    assert "form-action 'self'" in answer.headers["Content-Security-Policy"]
    shown = page(answer)
    assert f"<h2>{title}</h2>" in shown
    assert words in shown
    assert 'src="data:image/jpeg;base64,' in shown


def test_a_form_without_a_photo_gets_a_sentence_in_the_page():
    answer = site().answer(Request("POST", "/answer", headers=FORM, body=form(b"")))
    assert answer.status == 400
    assert 'role="alert">The request has no photo; ' in page(answer)
    assert refusal("<b>") == '<p class="notice bad" role="alert">&lt;b&gt;</p>'


def test_a_large_photo_is_not_sent_back():
    found: Any = {"label": "a", "probability": 1.0, "top": []}
    assert "<img" not in answer_of(found, True, bytes(3 * 1024 * 1024), "image/jpeg")
    assert "<img" not in answer_of(found, True, b"", "image/tiff")


def test_a_model_elsewhere_says_nothing_of_parts():
    answer = site().answer(Request("POST", "/saliency", headers=FORM, body=form(JPEG)))
    assert answer.status == 404
    assert "which parts of a photo" in json.loads(answer.body)["error"]
