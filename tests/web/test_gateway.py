"""The page behind API Gateway and the function: keys, tokens, waiting, API Gateway's words."""

import hashlib
from contextlib import contextmanager

import pytest

from tests.support.api_gateway import Gateway
from tests.support.aws import aws, running_server
from tests.support.browser import answered, file
from tests.support.servers import photo
from web.aws import handler

pytestmark = pytest.mark.slow

KEY = hashlib.sha256(b"sesame").hexdigest()


@pytest.fixture
def behind(browser, server, colours, monkeypatch):
    """A function that opens the page behind the Lambda function; it returns the cloud.

    settings: of the function. handle: stands in front of it.
    """

    @contextmanager
    def opened(handle=handler.handle, **settings: str):
        with aws(server, colours.root / "input" / "data") as cloud:
            for name, value in {**cloud.environment(), **settings}.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setattr("web.aws.endpoint.BUSY_S", 1)
            handler.site.cache_clear()
            with running_server(Gateway(handle)) as gateway:
                browser.open(f"http://127.0.0.1:{gateway.server_port}/")
                yield cloud
            handler.site.cache_clear()

    return opened


def give(page, key: str) -> None:
    page.until("document.activeElement.id === 'key' && !document.getElementById('key').value")
    page.run(
        f"document.getElementById('key').value = '{key}'; "
        "document.querySelector('#access button').click()"
    )


def idle(page) -> bool:
    return page.text("status") == "" and not page.run("document.body.classList.contains('busy')")


def test_what_api_gateway_says_by_itself_is_a_sentence(browser, behind, tmp_path):
    said = {
        "statusCode": 413,
        "headers": {"content-type": "application/json"},
        "body": '{"message":"Request Too Long"}',
    }
    with behind(
        lambda event: said if said and event["rawPath"] == "/classify" else handler.handle(event)
    ):
        browser.drop(file(tmp_path, "photo.jpg", photo("red")))
        browser.until(
            "document.getElementById('error').innerText === "
            "'The photo is too large. Send a smaller one.'"
        )
        said |= {
            "statusCode": 500,
            "body": '{"message":"Internal Server Error"}',
        }  # the function crashed, or took too long
        browser.drop(file(tmp_path, "photo.jpg", photo("red")))
        browser.until(
            "document.getElementById('error').innerText"
            ".startsWith('The service fails at the moment.')"
        )
        said |= {"statusCode": 429, "body": '{"message":"Too Many Requests"}'}
        browser.drop(file(tmp_path, "photo.jpg", photo("blue")))
        browser.until(
            "document.getElementById('status').innerText"
            ".startsWith('Too many ask at once. (Asking again in ')"
        )
        texts = [
            node["name"]["value"]
            for node in browser.call("Accessibility.getFullAXTree")["nodes"]
            if node["role"]["value"] == "StaticText"
        ]
        assert "Too many ask at once." in texts and not any(
            "Asking again in" in text for text in texts
        )  # a countdown is not for the ear
        said.clear()
        answered(browser, "blue")
        assert idle(browser)


def test_it_asks_for_a_key_and_waits_for_a_cold_endpoint(browser, behind, tmp_path):
    with behind(SLIPWAY_API_KEY_SHA256=KEY) as cloud:
        browser.drop(file(tmp_path, "photo.jpg", photo("red")))
        give(browser, "wrong")
        browser.until(
            "document.getElementById('ask').innerText === "
            "'That access key is not valid. Enter another.'"
        )
        give(browser, "sesame")
        answered(browser, "red")
        cloud.trouble = 503, "ServiceUnavailable", "Service Unavailable"
        browser.drop(file(tmp_path, "photo.jpg", photo("blue")))
        browser.until(
            "document.getElementById('status').innerText === "
            "'The endpoint is busy. (Asking again in 1 s.)'"
        )
        cloud.trouble = None
        answered(browser, "blue")


def test_the_labels_ask_for_the_key_too_and_wait_where_they_stand(browser, behind):
    with behind(SLIPWAY_API_KEY_SHA256=KEY) as cloud:
        cloud.trouble = 503, "ServiceUnavailable", "Service Unavailable"
        browser.run("document.querySelector('summary').click()")
        browser.until(
            "document.getElementById('count').innerText.startsWith('The API key is missing')"
        )
        give(browser, "sesame")
        browser.until(
            "document.getElementById('count').innerText.startsWith('The endpoint is busy.')"
        )
        assert idle(browser)
        assert browser.text("access") == ""
        cloud.trouble = None
        browser.until("document.getElementById('count').innerText === '3 labels'")
        assert idle(browser)


def test_it_asks_for_a_token_where_api_gateway_wants_one(browser, behind, tmp_path):
    def authorised(event: dict) -> dict:
        if event["rawPath"] != "/classify":
            return handler.handle(event)
        if event["headers"].get("authorization") != "Bearer e.y.J":
            return {
                "statusCode": 401,
                "headers": {"content-type": "application/json", "www-authenticate": "Bearer"},
                "body": '{"message":"Unauthorized"}',
            }
        return handler.handle(
            {
                **event,
                "requestContext": {
                    **event["requestContext"],
                    "authorizer": {"jwt": {"claims": {}}},
                },
            }
        )

    with behind(authorised, SLIPWAY_JWT="true"):
        browser.drop(file(tmp_path, "photo.jpg", photo("green")))
        browser.until(
            "document.getElementById('ask').innerText === 'This service needs an access token.'"
        )
        give(browser, "e.y.J")
        answered(browser, "green")


def test_a_sample_behind_the_function_is_classified_as_any_photo(browser, behind):
    with behind() as cloud:
        browser.run("document.getElementById('try').click()")
        browser.until("document.getElementById('truth').innerText")
        assert browser.text("truth") == f"✓ Right: it is {browser.text('answer')}."
        assert len(cloud.invoked) == 1
