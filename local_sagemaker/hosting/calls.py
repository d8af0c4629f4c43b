"""One HTTP call to a container, and the error that SageMaker makes of a bad answer."""

import http.client
import urllib.parse

from local_sagemaker.contract import ApiError

PREFIX = "X-Amzn-SageMaker-"


def ask(
    url: str, method: str, path: str, body: bytes | None, headers: dict[str, str], timeout_s: float
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (lower-case names) and body.

    OSError, TimeoutError or HTTPException without an answer.
    """
    address = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(address.netloc, timeout=timeout_s)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, names, answer.read()
    finally:
        connection.close()


def model_error(status: int, message: str, stream_arn: str) -> ApiError:
    """ModelError: every fault of a container reaches the caller with status 424.

    status: the container's, 0 without an answer.
    """
    side = "server"
    if 400 <= status < 500:
        side = "client"
    return ApiError(
        "ModelError",
        f'Received {side} error ({status}) from primary with message "{message}". '
        f"See {stream_arn} for more information.",
        424,
        OriginalStatusCode=status,
        OriginalMessage=message,
        LogStreamArn=stream_arn,
    )
