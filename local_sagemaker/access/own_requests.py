"""Requests to local SageMaker by programs of its own: signed with the key that it has printed."""

import os
import urllib.request
from collections.abc import Mapping
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

TIMEOUT_S = 30
DEFAULT_REGION = "us-east-1"
# A proxy of the environment does not reach this machine's own server.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def signed(method: str, path: str, environment: Mapping[str, str] = os.environ) -> bytes:
    """A request of the server's own routes: the answer's body. HTTPError for a refusal.

    environment: has the variables that the server prints.
    """
    with open_answer(method, path, environment=environment) as answer:
        body: bytes = answer.read()
    return body


def open_answer(
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    environment: Mapping[str, str] = os.environ,
    timeout_s: float = TIMEOUT_S,
) -> Any:  # urllib's answers have no common type
    """The same with a body and headers: the answer, to be read as it comes and closed.

    timeout_s: of its beginning, and of each part of it.
    """
    url = environment["AWS_ENDPOINT_URL_SAGEMAKER"] + path
    request = AWSRequest(method, url, dict(headers or {}), body)
    key = ReadOnlyCredentials(
        environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], ""
    )
    region = environment.get("AWS_REGION", DEFAULT_REGION)
    SigV4Auth(key, "sagemaker", region).add_auth(request)
    asked = urllib.request.Request(url, body or None, dict(request.headers), method=method)
    return DIRECT.open(asked, timeout=timeout_s)
