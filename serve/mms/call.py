"""What the gateway and a worker with a user's own code say to each other: a request and its reply.

Each is a line of JSON, then the body's bytes. It knows nothing of photos.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

CONTENT_TYPE = "Content-Type"
ACCEPT = "Accept"
SAGEMAKER = "X-Amzn-SageMaker-"  # begins the headers that SageMaker hands on, both ways


@dataclass(frozen=True)
class Call:
    """A client's request. headers: its type, the type it accepts, and SageMaker's own."""

    headers: Mapping[str, str]
    body: bytes

    def packed(self) -> bytes:
        """The bytes for MMS."""
        return json.dumps({"headers": dict(self.headers)}).encode() + b"\n" + self.body

    @classmethod
    def unpacked(cls, data: bytes) -> "Call":
        """The call that `packed` made into these bytes."""
        head, _, body = data.partition(b"\n")
        return cls(json.loads(head)["headers"], body)


@dataclass(frozen=True)
class Reply:
    """A worker's answer. error: one sentence, in place of a body, for a status from 400."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    error: str = ""

    def packed(self) -> bytes:
        """The bytes for MMS."""
        head = {"status": self.status, "headers": dict(self.headers), "error": self.error}
        return json.dumps(head).encode() + b"\n" + self.body

    @classmethod
    def unpacked(cls, data: bytes) -> "Reply":
        """The reply that `packed` made into these bytes."""
        line, _, body = data.partition(b"\n")
        head = json.loads(line)
        return cls(head["status"], head["headers"], body, head["error"])


def handed_on(headers: Mapping[str, str]) -> dict[str, str]:
    """Of a request's headers, those that a user's code may see."""
    names = (CONTENT_TYPE.lower(), ACCEPT.lower())
    return {
        name: value
        for name, value in headers.items()
        if name.lower() in names or name.lower().startswith(SAGEMAKER.lower())
    }
