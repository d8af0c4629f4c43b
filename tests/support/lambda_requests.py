"""Requests to the Lambda function: API Gateway's events, forms, and answers."""

import json

import pytest

from tests.support.api_gateway import event_1, event_2
from web.aws import handler

EVENTS = pytest.mark.parametrize("event", [event_1, event_2])


JPEG = {"Content-Type": "image/jpeg"}


JSON = {"Content-Type": "application/json"}


BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"


FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def ask(event: dict) -> tuple[int, dict]:
    """Status and JSON of what the function answers."""
    answer = handler.handle(event)
    assert set(answer) == {"statusCode", "headers", "body", "isBase64Encoded"}
    assert answer["headers"]["content-type"] == "application/json"
    json.dumps(answer)  # Lambda must be able to send it
    return answer["statusCode"], json.loads(answer["body"])


def form(*files: bytes, **fields: str) -> bytes:
    """A form as browsers send it."""
    parts = [
        f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()
        for name, value in fields.items()
    ]
    parts += [
        # Not ASCII, as browsers send names: UTF-8 in quotes.
        b'Content-Disposition: form-data; name="photo"; filename="my \xc3\xa4 photo.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n" + file
        for file in files
    ]
    return (
        b"".join(b"--" + BOUNDARY.encode() + b"\r\n" + part + b"\r\n" for part in parts)
        + f"--{BOUNDARY}--\r\n".encode()
    )
