"""What the API's Lambda function sees of AWS, as one HTTP server for boto3's own clients: InvokeEndpoint in front of a real local
server, wrapped as SageMaker wraps it, and a bucket that is a folder. And API Gateway's events, as its documentation shows them.
"""

import base64
import http.server
import json
import threading
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit
from xml.sax.saxutils import escape

ENDPOINT = "Colours"
ACCOUNT = "123456789012"


class Aws(http.server.ThreadingHTTPServer):
    """server: a servers.Server; bucket: a folder. trouble: (status, error's name, message) that InvokeEndpoint gives in place of an answer; invoked:
    what it was asked for."""

    def __init__(self, server, bucket: Path):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model, self.bucket = server, bucket
        self.trouble: tuple[int, str, str] | None = None
        self.invoked: list[dict] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def environment(self) -> dict[str, str]:
        """What the function's environment holds, with AWS at this address."""
        return {
            "SLIPWAY_ENDPOINT": ENDPOINT,
            "SLIPWAY_SAMPLES": f"s3://{self.bucket.name}/validation/",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Aws

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name, target = self.path.split("/")[2], self.headers["X-Amzn-SageMaker-Target-Model"]
        self.server.invoked.append(
            {
                "endpoint": name,
                "type": self.headers["Content-Type"],
                "bytes": len(body),
                **({"target": target} if target else {}),
            }
        )
        if self.server.trouble:
            status, error, message = self.server.trouble
            return self._error(status, error, {"Message": message})
        if name != ENDPOINT:
            return self._error(
                400,
                "ValidationError",
                {"Message": f"Endpoint {name} of account {ACCOUNT} not found."},
            )
        # SageMaker hands on these headers alone
        passed = {
            new: self.headers[old]
            for old, new in (
                ("Content-Type", "Content-Type"),
                ("Accept", "Accept"),
                ("X-Amzn-SageMaker-Custom-Attributes", "X-Amzn-SageMaker-Custom-Attributes"),
            )
            if self.headers[old]
        }
        status, headers, answer = self.server.model.ask("POST", "/invocations", body, passed)
        if status != 200:
            text = answer.decode()
            return self._error(
                424,
                "ModelError",
                {
                    "Message": f'Received client error ({status}) from primary with message "{text}".',
                    "OriginalStatusCode": status,
                    "OriginalMessage": text,
                    "LogStreamArn": f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/aws/sagemaker/Endpoints/{name}",
                },
            )
        self._send(
            200,
            answer,
            {"Content-Type": headers["content-type"], "x-Amzn-Invoked-Production-Variant": "main"},
        )

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        bucket, _, key = unquote(path.path).strip("/").partition("/")
        if bucket != self.server.bucket.name:
            return self._send(
                404,
                b"<Error><Code>NoSuchBucket</Code><Message>It does not exist</Message></Error>",
                {"Content-Type": "application/xml"},
            )
        if (
            key and not (self.server.bucket / key).is_file()
        ):  # what S3 says where the role may not list all of the bucket
            return self._send(
                403,
                b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
                {"Content-Type": "application/xml"},
            )
        if key:
            return self._send(
                200,
                (self.server.bucket / key).read_bytes(),
                {"Content-Type": "binary/octet-stream"},
            )
        prefix = parse_qs(path.query).get("prefix", [""])[0]
        files = sorted(file for file in self.server.bucket.rglob("*") if file.is_file())
        keys = [
            (file.relative_to(self.server.bucket).as_posix(), file.stat().st_size) for file in files
        ]
        listed = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{size}</Size></Contents>"
            for name, size in keys
            if name.startswith(prefix)
        )
        self._send(
            200,
            f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>".encode(),
            {"Content-Type": "application/xml"},
        )

    def _error(self, status: int, name: str, document: dict) -> None:
        self._send(
            status,
            json.dumps(document).encode(),
            {"Content-Type": "application/json", "x-amzn-ErrorType": name},
        )

    def _send(self, status: int, body: bytes, headers: dict) -> None:
        self.send_response(status)
        for header, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Gateway(http.server.ThreadingHTTPServer):
    """API Gateway's part: HTTP to events of the function, and its answers back."""

    def __init__(self, handle: Callable[[dict], dict]):
        super().__init__(("127.0.0.1", 0), _GatewayHandler)
        self.handle = handle


class _GatewayHandler(http.server.BaseHTTPRequestHandler):
    server: Gateway

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        answer = self.server.handle(
            event_2(self.command, path.path, body, dict(self.headers), dict(parse_qsl(path.query)))
        )
        self.send_response(answer["statusCode"])
        for header, value in answer["headers"].items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(answer["body"].encode())

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running_server(running: http.server.ThreadingHTTPServer):
    """The server, answering until the block ends."""
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield running
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def aws(server, bucket: Path):
    """A running Aws."""
    return running_server(Aws(server, bucket))


def event_2(
    method: str,
    path: str,
    body: bytes = b"",
    headers: dict | None = None,
    query: dict | None = None,
    text: bool = False,
    stage: str = "$default",
) -> dict:
    """An HTTP API's event, payload format 2.0; text: the body goes as text, else in base64."""
    prefix = "" if stage == "$default" else f"/{stage}"
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": prefix + path,
        "rawQueryString": urlencode(query or {}),
        "headers": {
            "accept": "*/*",
            "host": "abc.execute-api.eu-west-1.amazonaws.com",
            "x-forwarded-proto": "https",
            **{name.lower(): value for name, value in (headers or {}).items()},
        },
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "abc",
            "domainName": "abc.execute-api.eu-west-1.amazonaws.com",
            "requestId": "JKJaXmPLvHcESHA=",
            "http": {
                "method": method,
                "path": prefix + path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "test",
            },
            "routeKey": "$default",
            "stage": stage,
            "time": "12/Mar/2026:19:03:58 +0000",
            "timeEpoch": 1583348638390,
        },
        "isBase64Encoded": False,
    }
    return _with_body({**event, **({"queryStringParameters": query} if query else {})}, body, text)


def event_1(
    method: str,
    path: str,
    body: bytes = b"",
    headers: dict | None = None,
    query: dict | None = None,
    text: bool = False,
    stage: str = "prod",
) -> dict:
    """A REST API's event, payload format 1.0."""
    headers = {
        "Accept": "*/*",
        "Host": "abc.execute-api.eu-west-1.amazonaws.com",
        **(headers or {}),
    }
    event = {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()}
        if query
        else None,
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


def _with_body(event: dict, body: bytes, text: bool) -> dict:
    if not body:
        return event
    return {
        **event,
        "body": body.decode("utf-8", "replace") if text else base64.b64encode(body).decode(),
        "isBase64Encoded": not text,
    }
