"""The way of containers to S3 and to moto: what they ask with their key goes on to this server's.

S3 and moto listen where containers do not reach them, and a container has no key for a real S3. As
a role does on AWS, this door lets a job read and write; it signs anew with this server's own key.
Requests without the containers' key are refused. Bodies of S3 are passed on as they come.
"""

import html
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

import botocore.session
import urllib3
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from werkzeug.wrappers import Request

from local_sagemaker.access import signatures
from local_sagemaker.access.signatures import Key, Received, Signed
from local_sagemaker.contract import ApiError

S3 = "s3"
MOST_BYTES = 32 * 2**20  # of the body of another service's request, which is signed
PIECE = 2**16  # bytes of an answer that are passed on at once
TIMEOUT_S = 60.0
# Headers that hold for one connection, and those that are made anew.
OWN = {"host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
OWN |= {"expect", "authorization", "x-amz-date", "x-amz-security-token"}
ENDPOINT = "AWS_ENDPOINT_URL"


class ContainerDoor:
    """A WSGI app. key: the containers'."""

    def __init__(self, key: Key) -> None:
        self._key = key
        self._pool = urllib3.PoolManager(timeout=TIMEOUT_S, retries=False)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        try:
            answer = self._passed_on(request)
        except ApiError as error:
            return _refused(error, start_response)
        except (OSError, urllib3.exceptions.HTTPError) as error:
            return _refused(ApiError("ServiceUnavailable", str(error), 503), start_response)
        kept = [pair for pair in answer.headers.items() if pair[0].lower() not in OWN]
        start_response(f"{answer.status} {answer.reason or ''}", kept)
        return _pieces(answer)

    def _passed_on(self, request: Request) -> urllib3.BaseHTTPResponse:
        """The answer of the service that the request was signed for. ApiError for a wrong key."""
        received = _received(request)
        signed = signatures.claimed(received, time.time(), services=None)
        base = _endpoint(signed)
        body: Any = None
        digest = received.headers.get("x-amz-content-sha256", "")
        if signed.service == S3 and digest:
            # The signature holds for the headers with the digest; S3 itself compares the body.
            signatures.verify_digest(received, digest, signed, [self._key])
            if request.content_length:
                body = request.stream
        else:
            request.max_content_length = MOST_BYTES
            body = request.get_data()
            signatures.verify(received, body, signed, [self._key])
        target = received.path
        if received.query:
            target += f"?{received.query}"
        headers = {name: value for name, value in received.headers.items() if name not in OWN}
        headers = _signed_anew(request.method, base + target, headers, body, signed)
        # Not by `request` of the whole pool, which would resolve ".." in a key.
        return self._pool.connection_from_url(base).urlopen(
            request.method,
            target,
            body=body,
            headers=headers,
            preload_content=False,
            decode_content=False,
            redirect=False,
        )


def container_variables(url: str) -> dict[str, str]:
    """How containers find the door. url: where it is."""
    # sagemaker-training reads the last one: an old boto3 knows none of AWS_ENDPOINT_URL's.
    names = [f"{ENDPOINT}_S3", "S3_ENDPOINT_URL"]
    if os.environ.get(ENDPOINT):
        names.append(ENDPOINT)
    return dict.fromkeys(names, url)


def _endpoint(signed: Signed) -> str:
    """Where this server itself would ask. ApiError for a service that it does not pass on."""
    own = os.environ.get(ENDPOINT)
    if signed.service == S3:
        real = f"https://s3.{signed.region}.amazonaws.com"
        return (os.environ.get(f"{ENDPOINT}_S3") or own or real).rstrip("/")
    if not own:
        raise signatures.refused(
            "AccessDenied", f"a container reaches S3 alone here, not {signed.service}"
        )
    return own.rstrip("/")


def _received(request: Request) -> Received:
    headers = {name.lower(): value for name, value in request.headers.items()}
    path, _, query = request.environ.get("RAW_URI", request.full_path).partition("?")
    return Received(request.method, path, query, headers)


class _AsGiven(S3SigV4Auth):
    """S3's signature over the digest that the request has."""

    def payload(self, request: AWSRequest) -> str:
        return str(request.headers["x-amz-content-sha256"])

    def _modify_request_before_signing(self, request: AWSRequest) -> None:
        # S3's own would compute the digest anew; botocore's types leave the method out.
        SigV4Auth._modify_request_before_signing(self, request)  # type: ignore[attr-defined]


def _signed_anew(
    method: str, url: str, headers: dict[str, str], body: Any, signed: Signed
) -> dict[str, str]:
    found = botocore.session.get_session().get_credentials()
    if found is None:
        raise signatures.refused("AccessDenied", "local SageMaker itself has no AWS credentials")
    frozen = found.get_frozen_credentials()
    credentials = ReadOnlyCredentials(frozen.access_key, frozen.secret_key, frozen.token)
    request = AWSRequest(method, url, headers, body)
    kind = SigV4Auth
    if signed.service == S3 and "x-amz-content-sha256" in headers:
        kind = _AsGiven
    kind(credentials, signed.service, signed.region).add_auth(request)
    return dict(request.headers)


def _refused(error: ApiError, start_response: Any) -> Iterable[bytes]:
    message = html.escape(error.message)
    body = f"<Error><Code>{error.code}</Code><Message>{message}</Message></Error>".encode()
    headers = [
        ("Content-Type", "application/xml"),
        ("Content-Length", str(len(body))),
        ("x-amzn-ErrorType", error.code),
        ("Connection", "close"),  # the body of what is refused is not read
    ]
    start_response(f"{error.status} {error.code}", headers)
    return [body]


def _pieces(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    try:
        yield from answer.stream(PIECE, decode_content=False)
    finally:
        answer.release_conn()
