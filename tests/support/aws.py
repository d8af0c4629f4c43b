"""AWS as the API's Lambda function sees it: one HTTP server for boto3's own clients.

InvokeEndpoint stands in front of a real local server, and wraps its answers as SageMaker does.
S3 is a folder.
"""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

ENDPOINT = "Colours"
ACCOUNT = "123456789012"
XML = {"Content-Type": "application/xml"}
# SageMaker passes only these headers of a request to the container.
PASSED = ("Content-Type", "Accept", "X-Amzn-SageMaker-Custom-Attributes")
RunningServer = TypeVar("RunningServer", bound=http.server.ThreadingHTTPServer)


class ModelServer(Protocol):
    """The part of servers.Server that stands behind the endpoint."""

    def ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, Any, bytes]: ...


class Aws(http.server.ThreadingHTTPServer):
    """server: behind the endpoint. bucket: a folder with the bucket's objects.

    trouble: (status, error's name, message) that InvokeEndpoint answers instead.
    invoked: the requests of InvokeEndpoint.
    """

    def __init__(self, server: ModelServer, bucket: Path):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model = server
        self.bucket = bucket
        self.trouble: tuple[int, str, str] | None = None
        self.invoked: list[dict[str, object]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def environment(self) -> dict[str, str]:
        """The function's environment, with AWS at this address."""
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
        """InvokeEndpoint: /endpoints/NAME/invocations."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name = self.path.split("/")[2]
        target = self.headers["X-Amzn-SageMaker-Target-Model"]
        invoked: dict[str, object] = {
            "endpoint": name,
            "type": self.headers["Content-Type"],
            "bytes": len(body),
        }
        if target:
            invoked["target"] = target
        self.server.invoked.append(invoked)
        # A call that is to fail counts, too.
        if self.server.trouble:
            status, error, message = self.server.trouble
            return self._error(status, error, {"Message": message})
        if name != ENDPOINT:
            message = f"Endpoint {name} of account {ACCOUNT} not found."
            return self._error(400, "ValidationError", {"Message": message})
        self._invoke(name, body)

    def _invoke(self, name: str, body: bytes) -> None:
        """Send the container's answer; a refusal becomes SageMaker's ModelError."""
        passed = {header: self.headers[header] for header in PASSED if self.headers[header]}
        status, headers, answer = self.server.model.ask("POST", "/invocations", body, passed)
        if status == 200:
            sent = {"Content-Type": headers["content-type"]}
            sent["x-Amzn-Invoked-Production-Variant"] = "main"
            return self._send(200, answer, sent)
        text = answer.decode()
        group = f"/aws/sagemaker/Endpoints/{name}"
        document = {
            "Message": f'Received client error ({status}) from primary with message "{text}".',
            "OriginalStatusCode": status,
            "OriginalMessage": text,
            "LogStreamArn": f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:{group}",
        }
        # SageMaker hides the container's own status behind 424.
        self._error(424, "ModelError", document)

    def do_GET(self) -> None:
        """S3's GetObject (/BUCKET/KEY) and ListObjectsV2 (/BUCKET?prefix=)."""
        path = urlsplit(self.path)
        bucket, _, key = unquote(path.path).strip("/").partition("/")
        if bucket != self.server.bucket.name:
            text = b"<Error><Code>NoSuchBucket</Code><Message>It does not exist</Message></Error>"
            return self._send(404, text, XML)
        if not key:
            prefix = parse_qs(path.query).get("prefix", [""])[0]
            return self._send(200, self._listing(prefix).encode(), XML)
        file = self.server.bucket / key
        if not file.is_file():
            # S3's answer where the role may not list all of the bucket.
            text = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
            return self._send(403, text, XML)
        self._send(200, file.read_bytes(), {"Content-Type": "binary/octet-stream"})

    def _listing(self, prefix: str) -> str:
        """ListObjectsV2's answer."""
        listed = ""
        for file in sorted(self.server.bucket.rglob("*")):
            name = file.relative_to(self.server.bucket).as_posix()
            if file.is_file() and name.startswith(prefix):
                size = file.stat().st_size
                listed += f"<Contents><Key>{escape(name)}</Key><Size>{size}</Size></Contents>"
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>"

    def _error(self, status: int, name: str, document: dict[str, object]) -> None:
        headers = {"Content-Type": "application/json", "x-amzn-ErrorType": name}
        self._send(status, json.dumps(document).encode(), headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header, value)
        # The connection stays open: without a length the client would wait for more.
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running_server(running: RunningServer) -> Iterator[RunningServer]:
    """The server, answering until the block ends."""
    # shutdown() waits for the next poll.
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield running
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def aws(server: ModelServer, bucket: Path) -> AbstractContextManager[Aws]:
    """A running Aws."""
    return running_server(Aws(server, bucket))
