"""The Lambda function: API Gateway's events, boto3's own client, and a real local endpoint."""

import base64
import hashlib
import json
import re

import boto3
import pytest
from botocore.config import Config

from tests.support.api_gateway import event_1, event_2
from tests.support.aws import ENDPOINT
from tests.support.jobs import COLOURS
from tests.support.lambda_requests import EVENTS, FORM, JPEG, JSON, ask, form
from tests.support.servers import b64, photo
from web.aws import handler
from web.photos import MAX_BYTES

pytestmark = pytest.mark.slow


@EVENTS
@pytest.mark.parametrize("colour", COLOURS)
def test_a_photo_gets_its_label(site, event, colour):
    status, answer = ask(event("POST", "/classify", photo(colour), JPEG, {"top_k": "2"}))
    assert (status, answer["label"], len(answer["top"])) == (200, colour, 2)
    assert answer["sure"]
    assert answer["top"][0] == {
        "label": colour,
        "probability": answer["probability"],
    }


@EVENTS
@pytest.mark.parametrize("text", [True, False], ids=["text", "base64"])
def test_a_photo_in_json_gets_its_label(site, event, text):
    for data in (
        b64(photo("red")),
        f"data:image/jpeg;base64,{b64(photo('red'))}",
        # In the alphabet of URLs, and without padding.
        base64.urlsafe_b64encode(photo("red")).decode().rstrip("="),
    ):
        status, answer = ask(
            event(
                "POST", "/classify", json.dumps({"b64": data, "top_k": 1}).encode(), JSON, text=text
            )
        )
        assert (status, answer["label"], len(answer["top"])) == (200, "red", 1)


@EVENTS
def test_the_endpoint_says_which_parts_decide(site, event):
    page = handler.handle(event("GET", "/"))["body"]
    assert 'data-saliency="yes"' in page
    status, answer = ask(event("POST", "/saliency", photo("red"), JPEG))
    assert (status, answer["label"], answer["asked"]) == (200, "red", 50)
    assert max(map(max, answer["heat"])) <= 1
    status, answer = ask(event("POST", "/saliency", b"\xff\xd8\xff no photo", JPEG))
    assert (status, "cannot be used" in answer["error"]) == (422, True)


@EVENTS
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_form_gets_its_label(site, cloud, event, kind):
    status, answer = ask(event("POST", "/classify", form(photo("green", kind), top_k="1"), FORM))
    assert (status, answer["label"], len(answer["top"])) == (200, "green", 1)
    assert cloud.invoked == [
        {"endpoint": ENDPOINT, "type": f"image/{kind.lower()}", "bytes": len(photo("green", kind))}
    ]


def test_a_multi_model_endpoint_is_asked_for_its_model(cloud, site, monkeypatch):
    monkeypatch.setenv("SLIPWAY_ENDPOINT", f"{ENDPOINT}/colours.tar.gz")
    # The site reads its environment once.
    handler.site.cache_clear()
    assert ask(event_2("POST", "/classify", photo("red"), JPEG))[1]["label"] == "red"
    assert cloud.invoked == [
        {
            "endpoint": ENDPOINT,
            "type": "image/jpeg",
            "bytes": len(photo("red")),
            "target": "colours.tar.gz",
        }
    ]


def digest_of(block: str) -> str:
    """SHA-256 in base64."""
    return base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()


@EVENTS
def test_the_page_comes_with_a_policy_that_lets_just_it_run(site, event):
    answer = handler.handle(event("GET", "/"))
    policy = answer["headers"]["content-security-policy"]
    assert answer["statusCode"] == 200
    assert answer["headers"]["content-type"] == "text/html; charset=utf-8"
    for tag in ("script", "style"):
        [block] = re.findall(rf"<{tag}>(.*?)</{tag}>", answer["body"], re.S)
        assert f"{tag}-src 'sha256-{digest_of(block)}';" in policy
    assert "default-src 'none'" in policy
    # No 'unsafe-inline': handlers and styles within tags would not run.
    assert "unsafe" not in policy
    assert "*" not in policy
    # What the policy forbids must not be tried, either.
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|"
        r"\son\w+=|style=|src=\"http",
        answer["body"],
    )


def test_the_page_is_there_below_a_stage(site):
    for event in (
        event_2("GET", "/", stage="prod"),
        event_2("GET", "", stage="prod"),
        event_1("GET", "/"),
    ):
        assert handler.handle(event)["statusCode"] == 200
    assert handler.handle(event_2("HEAD", "/"))["body"] == ""
    assert handler.handle(event_2("OPTIONS", "/classify"))["statusCode"] == 204


@EVENTS
def test_labels_come_from_the_endpoint_and_are_kept(site, cloud, event):
    assert ask(event("GET", "/labels")) == (200, {"labels": sorted(COLOURS)})
    assert ask(event("GET", "/labels"))[0] == 200
    # The second answer came from memory.
    assert len(cloud.invoked) == 1


@EVENTS
def test_a_sample_is_a_validation_photo_with_its_label(site, cloud, event):
    seen = set()
    for _ in range(12):
        status, sample = ask(event("GET", "/sample"))
        assert status == 200
        assert (
            base64.b64decode(sample["b64"])
            == (cloud.bucket / "validation" / sample["label"] / sample["name"]).read_bytes()
        )
        seen.add(sample["name"])
    # Samples are drawn: twelve draws hit more than one photo.
    assert len(seen) > 1


def test_without_a_prefix_there_are_no_samples(site, monkeypatch):
    monkeypatch.setenv("SLIPWAY_SAMPLES", "")
    handler.site.cache_clear()
    status, answer = ask(event_2("GET", "/sample"))
    assert status == 404
    assert "no sample photos" in answer["error"]


REFUSED = {
    "nothing": (b"", JPEG, 400, "no photo"),
    "text": (b"hello, I am no photo", JPEG, 415, "it is text, not a photo"),
    "video": (b"\0\0\0\x18ftypisom" + bytes(60), {"Content-Type": "image/heic"}, 415, "a video"),
    "type": (photo(), {"Content-Type": "text/plain"}, 415, "'text/plain' is not taken"),
    "large": (photo() + bytes(MAX_BYTES), JPEG, 413, "10.0 MB; send one of at most 10 MB"),
    "no JSON": (b"{", JSON, 400, "not JSON"),
    "a list": (b"[]", JSON, 400, "not a JSON object"),
    "no b64": (b"{}", JSON, 400, "no photo in base64"),
    "bad b64": (b'{"b64": "%%%%"}', JSON, 400, "not base64"),
    "top_k": (
        json.dumps({"b64": b64(photo()), "top_k": "many"}).encode(),
        JSON,
        400,
        "top_k is 'many'",
    ),
    "no boundary": (form(photo()), {"Content-Type": "multipart/form-data"}, 400, "boundary"),
    "half a form": (form(photo())[:-30], FORM, 400, "not a whole form"),
    "no file": (form(top_k="1"), FORM, 400, "0 files"),
    "two files": (form(photo(), photo()), FORM, 400, "2 files"),
    "too many parts": (
        form(photo(), **{f"x{n}": "1" for n in range(30)}),
        FORM,
        400,
        "more than 20 parts",
    ),
}


@EVENTS
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_photo_never_reaches_the_endpoint(site, cloud, event, case):
    body, headers, expected, words = REFUSED[case]
    status, answer = ask(event("POST", "/classify", body, headers))
    assert status == expected
    assert words in answer["error"]
    assert list(answer) == ["error"]
    # A request to the endpoint costs its owner money.
    assert cloud.invoked == []


@pytest.mark.parametrize("value", ["0", "-1", "2.5", "1001", "²", "1e3"])
def test_a_bad_top_k_is_told(site, cloud, value):
    status, answer = ask(event_2("POST", "/classify", photo(), JPEG, {"top_k": value}))
    assert status == 400
    assert f"top_k is '{value}'" in answer["error"]
    assert cloud.invoked == []


def test_a_photo_that_came_as_text_is_told(site):
    # A REST API without binary media types hands over bytes as text, and loses some.
    status, answer = ask(event_1("POST", "/classify", photo(kind="PNG"), JPEG, text=True))
    assert status == 400
    assert "binaryMediaTypes" in answer["error"]


def test_health_and_unknown_paths(site):
    assert ask(event_2("GET", "/healthz")) == (200, {"status": "ok"})
    status, answer = ask(event_2("GET", "/nothing"))
    assert status == 404
    assert "POST /classify" in answer["error"]
    refused = handler.handle(event_2("PUT", "/classify", photo()))
    assert refused["statusCode"] == 405
    assert refused["headers"]["allow"] == "POST"
    assert ask({})[0] == 400


def test_every_route_is_described(site):
    status, document = ask(event_2("GET", "/openapi.json"))
    described = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    assert status == 200
    assert described == set(site.routes())
    # Every schema is used, and every used one is there.
    names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert names == set(document["components"]["schemas"])
    assert {name for way in document["security"] for name in way} == set(
        document["components"]["securitySchemes"]
    )


def test_an_api_key_opens_what_takes_photos(site, monkeypatch):
    monkeypatch.setenv("SLIPWAY_API_KEY_SHA256", hashlib.sha256(b"open sesame").hexdigest())
    for path in ("/", "/openapi.json", "/healthz"):
        assert handler.handle(event_2("GET", path))["statusCode"] == 200
    for event in (
        event_2("POST", "/classify", photo(), JPEG),
        event_2("GET", "/sample"),
        event_2("GET", "/labels"),
        event_1("POST", "/getyogaapp", b"{}", text=True),
    ):
        status, answer = ask(event)
        assert status == 401
        assert "X-Api-Key" in answer["error"]
    # A REST API keeps the case of a header's name.
    assert ask(event_1("POST", "/classify", photo(), {**JPEG, "X-Api-Key": "wrong"}))[0] == 401
    assert (
        ask(event_1("POST", "/classify", photo(), {**JPEG, "X-Api-Key": "open sesame"}))[0] == 200
    )


def test_with_tokens_nothing_passes_that_api_gateway_did_not_check(site, monkeypatch):
    monkeypatch.setenv("SLIPWAY_JWT", "true")
    event = event_2("POST", "/classify", photo(), JPEG)
    assert ask(event)[0] == 401
    assert handler.handle(event)["headers"]["www-authenticate"] == "Bearer"
    # API Gateway puts the claims of a token that it has checked there.
    event["requestContext"]["authorizer"] = {"jwt": {"claims": {"sub": "someone"}, "scopes": None}}
    assert ask(event)[0] == 200


def test_the_container_takes_what_boto3_sends(site, cloud):
    """The same question without our handler, to see that it adds nothing."""
    runtime = boto3.client(
        "sagemaker-runtime",
        endpoint_url=cloud.url,
        config=Config(retries={"total_max_attempts": 1}),
    )
    answer = runtime.invoke_endpoint(
        EndpointName=ENDPOINT,
        Body=photo("blue"),
        ContentType="image/jpeg",
        CustomAttributes="top_k=1",
    )
    assert json.loads(answer["Body"].read())["predictions"][0]["label"] == "blue"
