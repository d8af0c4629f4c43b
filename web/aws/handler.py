"""The Lambda function behind API Gateway: its events in, the page and its routes out.

boto3 and the standard library only. It takes the events of HTTP APIs (2.0, which template.yaml
makes) and of REST APIs (1.0), in base64 or not.
"""

import base64
import functools
import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from web.aws.endpoint import Endpoint, Samples
from web.exchange import Answer, Failure, Request, json_answer
from web.model import Model
from web.plain import Facts
from web.site import SURE_FROM, Site

# Without a key: they show nobody's photos, and the page must be there to ask for the key.
OPEN = {"/", "/getyogaapp", "/openapi.json", "/healthz"}
CONNECT_S = 3
READ_S = 25  # API Gateway gives up after 30 s

Event = dict[str, Any]  # Any: JSON, whose shape depends on the kind of API


def handle(event: Event, context: object = None) -> Event:
    """API Gateway's answer to one event. Lambda calls it; the first call reads the environment."""
    return respond(event, site(), os.environ)


@functools.cache
def site() -> Site:
    """The routes over the endpoint and the samples that the environment names."""
    import boto3
    from botocore.config import Config

    # no retries: the page says when to ask again, and API Gateway does not wait for two attempts
    config = Config(
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        retries={"total_max_attempts": 1, "mode": "standard"},
    )
    endpoint = Endpoint(
        boto3.client("sagemaker-runtime", config=config), os.environ["SLIPWAY_ENDPOINT"]
    )
    bucket, _, prefix = os.environ.get("SLIPWAY_SAMPLES", "").removeprefix("s3://").partition("/")
    samples = Samples(boto3.client("s3", config=config), bucket, prefix)
    return Site(
        Model(endpoint.classify, endpoint.labels, endpoint.health, samples, endpoint.saliency),
        float(os.environ.get("SLIPWAY_SURE_FROM") or SURE_FROM),
        Facts(os.environ["SLIPWAY_ENDPOINT"], saliency=True, header=_access_header(os.environ)),
    )


def _access_header(settings: Mapping[str, str]) -> str:
    """The header that a caller sends, as curl's option in a shell has it; "" for none."""
    if settings.get("SLIPWAY_API_KEY_SHA256"):
        return "X-Api-Key: $KEY"
    if settings.get("SLIPWAY_JWT") == "true":
        return "Authorization: Bearer $TOKEN"
    return ""


def respond(event: Event, site: Site, settings: Mapping[str, str]) -> Event:
    """The answer to one event, in the form that both kinds of API take."""
    try:
        request = request_of(event)
        check_access(request, event, settings)
        # a preflight: API Gateway itself adds the headers of CORS
        answer = Answer(204, b"") if request.method == "OPTIONS" else site.answer(request)
    except Failure as failure:
        answer = json_answer({"error": str(failure)}, failure.status, failure.headers)
    return event_answer(answer, head=_method(event) == "HEAD")


def request_of(event: Event) -> Request:
    """The request in an event.

    Raises Failure 400 for an event of another kind, or for a photo that was decoded as text on its
    way.
    """
    context = _context(event)
    method = _method(event)
    if not method:
        raise Failure(
            400, "the event is not one of API Gateway; call this function through its URL"
        )
    if "http" in context:
        path = event["rawPath"]
        headers = event.get("headers") or {}
        query = dict(parse_qsl(event.get("rawQueryString"), keep_blank_values=True))
    else:
        path = event["path"]
        lists = event.get("multiValueHeaders") or {}
        headers = {name: ",".join(values) for name, values in lists.items()}
        headers.update(event.get("headers") or {})
        query = event.get("queryStringParameters") or {}
    path = _without_stage(path, context.get("stage") or "$default")
    lower = {name.lower(): value for name, value in headers.items()}
    return Request(method, path, query, lower, _body(event))


def _without_stage(path: str, stage: str) -> str:
    """The path below the API's stage; `$default` is not in the path."""
    if stage != "$default" and (path == f"/{stage}" or path.startswith(f"/{stage}/")):
        return path[len(stage) + 1 :] or "/"
    return path


def _body(event: Event) -> bytes:
    text: str = event.get("body") or ""
    if event.get("isBase64Encoded"):
        try:
            return base64.b64decode(text)
        except ValueError as error:
            raise Failure(400, "the event says that its body is base64, and it is not") from error
    # the mark of bytes that are not UTF-8; but JSON may hold that character itself
    if "\ufffd" in text and not text.lstrip().startswith("{"):
        raise Failure(
            400,
            "the photo came through API Gateway as text; "
            "set the API's binaryMediaTypes to */*, or send it in base64 as JSON",
        )
    return text.encode("utf-8", "replace")


def check_access(request: Request, event: Event, settings: Mapping[str, str]) -> None:
    """Raise Failure 401 unless the request has the key or the token that the settings ask for.

    Only the SHA-256 of the key is known here. API Gateway has checked the token.
    """
    is_open = request.method in ("GET", "HEAD") and request.path in OPEN
    if is_open or request.method == "OPTIONS":
        return
    wanted = settings.get("SLIPWAY_API_KEY_SHA256", "")
    if wanted:
        given = request.headers.get("x-api-key", "").encode("utf-8", "replace")
        found = hashlib.sha256(given).hexdigest()
        if not hmac.compare_digest(found, wanted.lower()):
            raise Failure(
                401,
                "the API key is missing or wrong; send it in the header X-Api-Key",
                headers={"WWW-Authenticate": "ApiKey"},
            )
    # API Gateway refuses requests without a token itself; but a path that it reads in another way
    # than this function must not get past it
    if settings.get("SLIPWAY_JWT") == "true" and not _context(event).get("authorizer"):
        raise Failure(
            401,
            "a token is needed; send it in the header Authorization: Bearer …",
            headers={"WWW-Authenticate": "Bearer"},
        )


def event_answer(answer: Answer, head: bool = False) -> Event:
    """An answer as API Gateway takes it. Every answer of a Site is text."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return {
        "statusCode": answer.status,
        "headers": {"content-type": answer.content_type, **headers},
        "body": "" if head else answer.body.decode(),
        "isBase64Encoded": False,
    }


def _context(event: Event) -> Event:
    context: Event = event.get("requestContext") or {}
    return context


def _method(event: Event) -> str:
    http = _context(event).get("http") or {}
    method: str = http.get("method") or event.get("httpMethod") or ""
    return method
