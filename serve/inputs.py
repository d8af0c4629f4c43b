"""From a request's body to encoded photos, by its content type."""

import base64
import binascii
import json

PHOTO_TYPES = ("image/jpeg", "image/png", "image/webp", "application/x-image")
JSON_TYPE = "application/json"
ACCEPTED = (*PHOTO_TYPES, JSON_TYPE)
MAX_INSTANCES = 1000


class InputError(ValueError):
    """A request that cannot be answered: an HTTP status and one sentence on what to send instead."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status


def photos_of(content_type: str, body: bytes) -> list[bytes]:
    """The encoded photos in a body, at least one. InputError 415 for an unknown type, 400 for a body that is not of it."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in ACCEPTED:
        raise InputError(415, f"Content-Type '{media_type}' is not taken; send one of {', '.join(ACCEPTED)}")
    if not body:
        raise InputError(400, f"the body is empty; send a photo as {media_type}")
    return _instances(body) if media_type == JSON_TYPE else [body]


def _instances(body: bytes) -> list[bytes]:
    expected = 'send {"instances": [{"b64": "<base64 of a photo>"}]}'
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(400, f"the body is not JSON ({str(error)[:100]}); {expected}") from error
    instances = document.get("instances") if isinstance(document, dict) else None
    if not isinstance(instances, list) or not instances:
        raise InputError(400, f"the JSON holds no list of instances; {expected}")
    if len(instances) > MAX_INSTANCES:
        raise InputError(413, f"the JSON holds {len(instances)} instances; send at most {MAX_INSTANCES} at once")
    return [_decoded(instance, index, expected) for index, instance in enumerate(instances)]


def _decoded(instance: object, index: int, expected: str) -> bytes:
    text = instance.get("b64") if isinstance(instance, dict) else None
    if not isinstance(text, str):
        raise InputError(400, f"instance {index} has no text under 'b64'; {expected}")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(400, f"instance {index} is not base64 ({str(error)[:100]}); {expected}") from error
