"""The Lambda function behind API Gateway: its events in, the page and its routes out. boto3 and the standard library only.

It takes both shapes of events, of HTTP APIs (2.0, which template.yaml makes) and of REST APIs (1.0), in base64 or not.
"""

import base64
import functools
import hashlib
import hmac
import os
from collections.abc import Mapping
from urllib.parse import parse_qsl

from web.aws.endpoint import Endpoint, Samples
from web.exchange import Answer, Failure, Request, json_answer
from web.model import Model
from web.site import SURE_FROM, Site

OPEN = {
    "/",
    "/getyogaapp",
    "/openapi.json",
    "/healthz",
}  # without a key: they show nobody's photos, and the page must be there to ask for one
CONNECT_S, READ_S = 3, 25  # API Gateway gives up after 30 s


def handle(event: dict, context: object = None) -> dict:
    """API Gateway's answer to one event; the sites' settings are read from the environment at the first one."""
    return respond(event, site(), os.environ)


@functools.cache
def site() -> Site:
    """The routes over the endpoint and the samples that the environment names."""
    import boto3
    from botocore.config import Config

    # no retries: the page is told when to ask again, and two waits would not fit into API Gateway's
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
        Model(endpoint.classify, endpoint.labels, endpoint.health, samples),
        float(os.environ.get("SLIPWAY_SURE_FROM") or SURE_FROM),
    )


def respond(event: dict, site: Site, settings: Mapping[str, str]) -> dict:
    """The answer to one event, in the form that both kinds of API take."""
    try:
        request = request_of(event)
        check_access(request, event, settings)
        # a preflight: API Gateway itself adds the headers that name the origins
        answer = Answer(204, b"") if request.method == "OPTIONS" else site.answer(request)
    except Failure as failure:
        answer = json_answer({"error": str(failure)}, failure.status, failure.headers)
    return event_answer(answer, head=_method(event) == "HEAD")


def request_of(event: dict) -> Request:
    """The request that an event carries. Failure 400 for what is no event of API Gateway, or a photo that was taken for text on the way."""
    context, method = event.get("requestContext") or {}, _method(event)
    if not method:
        raise Failure(
            400, "the event is not one of API Gateway; call this function through its URL"
        )
    if "http" in context:
        path, headers, query = (
            event["rawPath"],
            event.get("headers") or {},
            dict(parse_qsl(event.get("rawQueryString"), keep_blank_values=True)),
        )
    else:
        lists = event.get("multiValueHeaders") or {}
        path, headers = (
            event["path"],
            {
                **{name: ",".join(values) for name, values in lists.items()},
                **(event.get("headers") or {}),
            },
        )
        query = event.get("queryStringParameters") or {}
    stage = context.get("stage") or "$default"
    if stage != "$default" and (path == f"/{stage}" or path.startswith(f"/{stage}/")):
        path = path[len(stage) + 1 :] or "/"
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        if "\ufffd" in body and not body.lstrip().startswith(
            "{"
        ):  # bytes that are no UTF-8; but JSON may hold that character
            raise Failure(
                400,
                "the photo came through API Gateway as text; set the API's binaryMediaTypes to */*, or send it in base64 as JSON",
            )
        return Request(method, path, query, _lower(headers), body.encode())
    try:
        return Request(method, path, query, _lower(headers), base64.b64decode(body))
    except ValueError as error:
        raise Failure(400, "the event says that its body is base64, and it is not") from error


def check_access(request: Request, event: dict, settings: Mapping[str, str]) -> None:
    """Failure 401 unless the request has what the settings ask for: an API key, whose SHA-256 alone is known here, or a token that API Gateway checked."""
    if request.method == "OPTIONS" or request.method in ("GET", "HEAD") and request.path in OPEN:
        return
    wanted = settings.get("SLIPWAY_API_KEY_SHA256", "")
    if wanted:
        found = hashlib.sha256(request.headers.get("x-api-key", "").encode()).hexdigest()
        if not hmac.compare_digest(found, wanted.lower()):
            raise Failure(
                401,
                "the API key is missing or wrong; send it in the header X-Api-Key",
                headers={"WWW-Authenticate": "ApiKey"},
            )
    # API Gateway refuses these itself; but a path that it reads differently than we do must not get past it
    if settings.get("SLIPWAY_JWT") == "true" and not (event.get("requestContext") or {}).get(
        "authorizer"
    ):
        raise Failure(
            401,
            "a token is needed; send it in the header Authorization: Bearer …",
            headers={"WWW-Authenticate": "Bearer"},
        )


def event_answer(answer: Answer, head: bool = False) -> dict:
    """An answer as API Gateway takes it; all that is answered here is text."""
    headers = {
        "content-type": answer.content_type,
        **{name.lower(): value for name, value in answer.headers.items()},
    }
    return {
        "statusCode": answer.status,
        "headers": headers,
        "body": "" if head else answer.body.decode(),
        "isBase64Encoded": False,
    }


def _method(event: dict) -> str:
    return (
        ((event.get("requestContext") or {}).get("http") or {}).get("method")
        or event.get("httpMethod")
        or ""
    )


def _lower(headers: dict) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
