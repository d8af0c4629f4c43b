"""The Lambda function: API Gateway's real events in, through boto3's own client, to a real local endpoint."""

import base64
import hashlib
import json
import re

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.api_gateway import event_1, event_2
from tests.support.aws import ENDPOINT, aws
from tests.support.jobs import COLOURS
from tests.support.servers import b64, photo, serving
from web import wikipedia
from web.aws import handler
from web.aws.endpoint import failure_of, prediction_in
from web.exchange import Failure
from web.photos import MAX_BYTES
from web.site import Site

EVENTS = pytest.mark.parametrize("event", [event_1, event_2])
JPEG = {"Content-Type": "image/jpeg"}
JSON = {"Content-Type": "application/json"}
BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


@pytest.fixture(scope="module")
def cloud(colours):
    with serving(colours.model) as server, aws(server, colours.root / "input" / "data") as running:
        yield running


@pytest.fixture
def site(cloud, monkeypatch) -> Site:
    """The routes as Lambda makes them from its environment, with AWS's addresses on this machine."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    cloud.trouble = None
    cloud.invoked.clear()
    handler.site.cache_clear()
    yield handler.site()
    handler.site.cache_clear()


def ask(event: dict) -> tuple[int, dict]:
    """Status and JSON of what the function answers."""
    answer = handler.handle(event)
    assert (
        set(answer) == {"statusCode", "headers", "body", "isBase64Encoded"}
        and answer["headers"]["content-type"] == "application/json"
    )
    json.dumps(answer)  # Lambda must be able to send it
    return answer["statusCode"], json.loads(answer["body"])


def form(*files: bytes, **fields: str) -> bytes:
    """A form as browsers send it."""
    parts = [
        f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()
        for name, value in fields.items()
    ]
    parts += [
        b'Content-Disposition: form-data; name="photo"; filename="my \xc3\xa4 photo.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        + file
        for file in files
    ]
    return (
        b"".join(b"--" + BOUNDARY.encode() + b"\r\n" + part + b"\r\n" for part in parts)
        + f"--{BOUNDARY}--\r\n".encode()
    )


@EVENTS
@pytest.mark.parametrize("colour", COLOURS)
def test_a_photo_gets_its_label(site, event, colour):
    status, answer = ask(event("POST", "/classify", photo(colour), JPEG, {"top_k": "2"}))
    assert (status, answer["label"], len(answer["top"])) == (200, colour, 2)
    assert answer["sure"] and answer["top"][0] == {
        "label": colour,
        "probability": answer["probability"],
    }


@EVENTS
@pytest.mark.parametrize("text", [True, False], ids=["text", "base64"])
def test_a_photo_in_json_gets_its_label(site, event, text):
    for data in (
        b64(photo("red")),
        f"data:image/jpeg;base64,{b64(photo('red'))}",
        base64.urlsafe_b64encode(photo("red")).decode().rstrip("="),
    ):
        status, answer = ask(
            event(
                "POST", "/classify", json.dumps({"b64": data, "top_k": 1}).encode(), JSON, text=text
            )
        )
        assert (status, answer["label"], len(answer["top"])) == (200, "red", 1)


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


@EVENTS
def test_the_page_comes_with_a_policy_that_lets_just_it_run(site, event):
    answer = handler.handle(event("GET", "/"))
    policy = answer["headers"]["content-security-policy"]
    assert (
        answer["statusCode"] == 200
        and answer["headers"]["content-type"] == "text/html; charset=utf-8"
    )
    for tag in ("script", "style"):
        [block] = re.findall(rf"<{tag}>(.*?)</{tag}>", answer["body"], re.S)
        assert (
            f"{tag}-src 'sha256-{base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()}';"
            in policy
        )
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|\son\w+=|style=|src=\"http",
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
    assert ask(event("GET", "/labels"))[0] == 200 and len(cloud.invoked) == 1


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
    assert len(seen) > 1


def test_without_a_prefix_there_are_no_samples(site, monkeypatch):
    monkeypatch.setenv("SLIPWAY_SAMPLES", "")
    handler.site.cache_clear()
    status, answer = ask(event_2("GET", "/sample"))
    assert status == 404 and "no sample photos" in answer["error"]


REFUSED = {
    "nothing": (b"", JPEG, 400, "no photo"),
    "text": (b"hello, I am no photo", JPEG, 415, "no photo of a kind"),
    "heic": (b"\0\0\0\x18ftypheic" + bytes(60), {"Content-Type": "image/heic"}, 415, "HEIC"),
    "type": (photo(), {"Content-Type": "text/plain"}, 415, "'text/plain' is not taken"),
    "large": (photo() + bytes(MAX_BYTES), JPEG, 413, "10.0 MB; send one of at most 10 MB"),
    "no JSON": (b"{", JSON, 400, "not JSON"),
    "a list": (b"[]", JSON, 400, "no JSON object"),
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
    assert status == expected and words in answer["error"] and list(answer) == ["error"]
    assert cloud.invoked == []


@pytest.mark.parametrize("value", ["0", "-1", "2.5", "1001", "²", "1e3"])
def test_a_bad_top_k_is_told(site, cloud, value):
    status, answer = ask(event_2("POST", "/classify", photo(), JPEG, {"top_k": value}))
    assert status == 400 and f"top_k is '{value}'" in answer["error"] and cloud.invoked == []


def test_a_photo_that_came_as_text_is_told(site):
    status, answer = ask(event_1("POST", "/classify", photo(kind="PNG"), JPEG, text=True))
    assert status == 400 and "binaryMediaTypes" in answer["error"]


@EVENTS
def test_the_containers_own_reason_is_unwrapped(site, cloud, event):
    status, answer = ask(
        event("POST", "/classify", photo(size=(300, 300))[:-400] + b"broken", JPEG)
    )
    direct, reason = cloud.model.invoke(photo(size=(300, 300))[:-400] + b"broken")
    assert (status, answer) == (direct, reason) and status == 422 and "424" not in answer["error"]


TROUBLE = {
    "cold": (
        (429, "ModelNotReadyException", "Model is not ready for inference."),
        503,
        "30",
        "the model is starting",
    ),
    "missing": (
        (400, "ValidationError", f"Endpoint {ENDPOINT} of account 123456789012 not found."),
        503,
        "30",
        "not in service",
    ),
    "updating": (
        (400, "ValidationError", "Endpoint is in status Updating"),
        503,
        "30",
        "not in service",
    ),
    "busy": ((503, "ServiceUnavailable", "Service Unavailable"), 503, "5", "busy"),
    "throttled": ((400, "ThrottlingException", "Rate exceeded"), 503, "5", "busy"),
    "internal": ((530, "InternalDependencyException", "…"), 503, "5", "busy"),
    "large": ((413, "", "Request entity too large"), 413, None, "at most 4 MB"),
    "forbidden": (
        (
            403,
            "AccessDeniedException",
            "User: arn:aws:sts::123456789012:assumed-role/x is not authorized",
        ),
        500,
        None,
        "its log says why",
    ),
}


@pytest.mark.parametrize("case", TROUBLE)
def test_trouble_with_the_endpoint_is_one_sentence_with_the_right_status(site, cloud, case):
    cloud.trouble, status, retry_after, words = TROUBLE[case]
    answer = handler.handle(event_2("POST", "/classify", photo(), JPEG))
    assert answer["statusCode"] == status and answer["headers"].get("retry-after") == retry_after
    assert words in json.loads(answer["body"])["error"] and "arn:" not in answer["body"]
    assert len(cloud.invoked) == 1
    assert handler.handle(event_2("GET", "/healthz"))["statusCode"] == status


@pytest.mark.parametrize(
    ("original", "status", "words"),
    [
        (500, 502, "failed: it broke"),
        (503, 503, "it broke"),
        (404, 502, "failed"),
        (415, 415, "it broke"),
    ],
)
def test_what_the_container_refuses_keeps_its_meaning(site, original, status, words):
    wrapped = {
        "Error": {"Code": "ModelError", "Message": "Received"},
        "OriginalStatusCode": original,
        "OriginalMessage": '{"error": "it broke"}',
    }
    failure = failure_of(ClientError(wrapped, "InvokeEndpoint"))
    assert failure.status == status and words in str(failure)
    assert words[:6] in str(
        failure_of(
            ClientError({**wrapped, "OriginalMessage": "it broke\n badly"}, "InvokeEndpoint")
        )
    )


@pytest.mark.parametrize(
    "text", [b"[0.1, 0.9]", b'{"predictions": []}', b'{"predictions": [{"label": "red"}]}', b"\xff"]
)
def test_an_answer_of_a_foreign_endpoint_is_told(text):
    with pytest.raises(Failure, match="not that of slipway-serve") as told:
        prediction_in(text)
    assert told.value.status == 502


def test_an_endpoint_that_cannot_be_reached_is_told(site, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    handler.site.cache_clear()
    answer = handler.handle(event_2("POST", "/classify", photo(), JPEG))
    assert answer["statusCode"] == 503 and answer["headers"]["retry-after"] == "5"


def test_health_and_unknown_paths(site):
    assert ask(event_2("GET", "/healthz")) == (200, {"status": "ok"})
    status, answer = ask(event_2("GET", "/nothing"))
    assert status == 404 and "POST /classify" in answer["error"]
    refused = handler.handle(event_2("PUT", "/classify", photo()))
    assert refused["statusCode"] == 405 and refused["headers"]["allow"] == "POST"
    assert ask({})[0] == 400


def test_every_route_is_described(site):
    status, document = ask(event_2("GET", "/openapi.json"))
    described = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    assert status == 200 and described == set(site.routes())
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
        assert status == 401 and "X-Api-Key" in answer["error"]
    assert ask(event_1("POST", "/classify", photo(), {**JPEG, "X-Api-Key": "wrong"}))[0] == 401
    assert (
        ask(event_1("POST", "/classify", photo(), {**JPEG, "X-Api-Key": "open sesame"}))[0] == 200
    )


def test_with_tokens_nothing_passes_that_api_gateway_did_not_check(site, monkeypatch):
    monkeypatch.setenv("SLIPWAY_JWT", "true")
    event = event_2("POST", "/classify", photo(), JPEG)
    assert ask(event)[0] == 401 and handler.handle(event)["headers"]["www-authenticate"] == "Bearer"
    event["requestContext"]["authorizer"] = {"jwt": {"claims": {"sub": "someone"}, "scopes": None}}
    assert ask(event)[0] == 200


FIELDS = {"data", "groundtruth", "prediction", "title", "summary", "exception"}


@pytest.fixture
def encyclopedia(monkeypatch):
    """What Wikipedia would say, without the network: its answer's shape is tested by the page, too."""
    monkeypatch.setattr("web.legacy_yoga_api.summary_of.__defaults__", ("http://127.0.0.1:9/",))
    monkeypatch.setitem(wikipedia._pause, "until", 0.0)
    wikipedia._asked.cache_clear()


@EVENTS
def test_the_old_contract_is_kept(site, cloud, encyclopedia, event):
    asked = {"data": b64(photo("red")), "ground_truth": "red", "is_user_data": True}
    status, answer = ask(event("POST", "/getyogaapp", json.dumps(asked).encode(), JSON, text=True))
    assert status == 200 and answer == {
        "data": asked["data"],
        "groundtruth": "red",
        "prediction": "red",
        "title": "",
        "summary": "",
        "exception": "",
    }
    status, answer = ask(
        event(
            "POST",
            "/getyogaapp",
            b'{"data": "", "ground_truth": "", "is_user_data": "false"}',
            JSON,
        )
    )
    assert (
        status == 200
        and set(answer) == FIELDS
        and base64.b64decode(answer["data"])[:2] == b"\xff\xd8"
    )
    assert answer["prediction"] == answer["groundtruth"] in COLOURS
    for body, words in (
        (b'{"data": "", "is_user_data": true}', "base64"),
        (b'{"data": "aGVsbG8=", "is_user_data": true}', "no photo"),
        (b"?", "not JSON"),
    ):
        status, answer = ask(event("POST", "/getyogaapp", body, JSON, text=True))
        assert status == 200 and set(answer) == FIELDS and words in answer["exception"]
    assert handler.handle(event("GET", "/getyogaapp"))["body"].startswith("<!doctype html>")


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
