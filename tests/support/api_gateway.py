"""API Gateway in front of a Lambda function, and its events as AWS's documentation shows them."""

import base64
import http.server
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.support.aws import ACCOUNT

HOST = "abc.execute-api.eu-west-1.amazonaws.com"
# JSON objects of Lambda, by AWS's names.
Event = dict[str, Any]


class Gateway(http.server.ThreadingHTTPServer):
    """HTTP requests become events of the function; its answers become HTTP."""

    def __init__(self, handle: Callable[[Event], Event]):
        super().__init__(("127.0.0.1", 0), _GatewayHandler)
        self.handle = handle


class _GatewayHandler(http.server.BaseHTTPRequestHandler):
    server: Gateway

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        query = dict(parse_qsl(path.query))
        event = event_2(self.command, path.path, body, dict(self.headers), query)
        answer = self.server.handle(event)
        self.send_response(answer["statusCode"])
        for header, value in answer["headers"].items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(answer["body"].encode())

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


def event_2(
    method: str,
    path: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    text: bool = False,
    stage: str = "$default",
) -> Event:
    """An HTTP API's event, payload format 2.0; text: the body goes as text, else in base64."""
    raw_path = path
    if stage != "$default":
        raw_path = f"/{stage}{path}"
    # An HTTP API hands over names in lower case.
    sent = {"accept": "*/*", "host": HOST, "x-forwarded-proto": "https"}
    for name, value in (headers or {}).items():
        sent[name.lower()] = value
    request = {
        "method": method,
        "path": raw_path,
        "protocol": "HTTP/1.1",
        "sourceIp": "203.0.113.7",
        "userAgent": "test",
    }
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": raw_path,
        "rawQueryString": urlencode(query or {}),
        "headers": sent,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "abc",
            "domainName": HOST,
            "requestId": "JKJaXmPLvHcESHA=",
            "http": request,
            "routeKey": "$default",
            "stage": stage,
            "time": "12/Mar/2026:19:03:58 +0000",
            "timeEpoch": 1583348638390,
        },
        "isBase64Encoded": False,
    }
    # Without a query API Gateway leaves the field out.
    if query:
        event["queryStringParameters"] = query
    return _with_body(event, body, text)


def event_1(
    method: str,
    path: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    text: bool = False,
    stage: str = "prod",
) -> Event:
    """A REST API's event, payload format 1.0."""
    # A REST API keeps names as the caller wrote them.
    sent = {"Accept": "*/*", "Host": HOST, **(headers or {})}
    several = None
    if query:
        several = {name: [value] for name, value in query.items()}
    event = {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": sent,
        # A REST API gives headers and parameters twice: one value each, and all values.
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": several,
        "pathParameters": {"proxy": path.strip("/")},
        "stageVariables": None,
        "requestContext": {
            "resourceId": "123456",
            "resourcePath": "/{proxy+}",
            "httpMethod": method,
            "path": f"/{stage}{path}",
            "accountId": ACCOUNT,
            "protocol": "HTTP/1.1",
            "stage": stage,
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "identity": {"sourceIp": "203.0.113.7"},
            "apiId": "abc",
        },
        "body": None,
        "isBase64Encoded": False,
    }
    return _with_body(event, body, text)


def _with_body(event: Event, body: bytes, text: bool) -> Event:
    if not body:
        return event
    if text:
        return {**event, "body": body.decode("utf-8", "replace"), "isBase64Encoded": False}
    return {**event, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}
