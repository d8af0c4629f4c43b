"""InvokeEndpointAsync: a request is taken at once, done later, and its answer lies in S3.

Limits and words are SageMaker's. Source: InvokeEndpointAsync in the API reference.
"""

import logging
import time
import uuid

from local_sagemaker import objects
from local_sagemaker.contract import RUNTIME_VALIDATION, ApiError, check_headers
from local_sagemaker.folders import folder_fault
from local_sagemaker.hosting import async_notices
from local_sagemaker.hosting.async_request import Asked
from local_sagemaker.hosting.calls import PREFIX
from local_sagemaker.hosting.fleet import Fleet
from local_sagemaker.hosting.invocations import Answer, call, fleet_of, stream_arn_of
from local_sagemaker.hosting.variants import NotHealthy, Variant
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record

log = logging.getLogger(__name__)
TIMEOUT_S = 900  # InvocationTimeoutSeconds, where a request leaves it out
TTL_S = 6 * 3600  # RequestTTLSeconds, where a request leaves it out
LOOK_S = 0.2  # between two looks for an instance
INLINE_BYTES = 128_000


def accept(
    platform: Platform, name: str, body: bytes, headers: dict[str, str]
) -> tuple[Record, dict[str, str]]:
    """The answer's body and headers; the work is done later."""
    check_headers("InvokeEndpointAsync", headers)
    fleet = fleet_of(platform, name)
    config = fleet.config.get("AsyncInferenceConfig")
    if not config:
        raise ApiError("ValidationError", f"Endpoint {name} does not support this inference type.")
    source = headers.get(f"{PREFIX}inputlocation".lower())
    if not source and not body:
        raise ApiError(
            "ValidationError",
            "1 validation error detected: Value null at 'inputLocation' failed to satisfy "
            "constraint: Member must not be null",
        )
    if len(body) > INLINE_BYTES:
        raise ApiError("", f"HTTP content length exceeded {INLINE_BYTES} bytes.", 413)
    inference_id = headers.get(f"{PREFIX}inference-id".lower()) or str(uuid.uuid4())
    where, failure = _places(platform, name, config["OutputConfig"], headers)
    asked = Asked(inference_id, source, body, headers, where, failure, time.time())
    fleet.count_backlog(1)
    fleet.later.submit(_do, platform, fleet, asked)
    answer = {f"{PREFIX}OutputLocation": where}
    if failure:
        answer[f"{PREFIX}FailureLocation"] = failure
    return {"InferenceId": inference_id}, answer


def _places(
    platform: Platform, name: str, output: Record, headers: dict[str, str]
) -> tuple[str, str | None]:
    """URIs of a request's answer and of its error. output: OutputConfig of the endpoint."""
    number = str(uuid.uuid4())
    place = output.get("S3OutputPath") or f"file://{platform.answers / name}"
    further = headers.get(f"{PREFIX}s3outputpathextension".lower(), "").strip("/")
    if further:
        place = objects.joined(place, further)
    where = objects.joined(place, headers.get(f"{PREFIX}filename".lower()) or f"{number}.out")
    if fault := folder_fault(where):  # S3OutputPathExtension may hold ".."
        raise ApiError(RUNTIME_VALIDATION, fault)
    if not output.get("S3FailurePath"):
        return where, None
    return where, objects.joined(output["S3FailurePath"], f"{number}-error.out")


def _do(platform: Platform, fleet: Fleet, asked: Asked) -> None:
    """One request, to its object in S3 and its notice. Nobody waits for this thread."""
    try:
        answer = _answer(platform, fleet, asked)
        objects.write(asked.where, answer.body)
        async_notices.succeeded(fleet, asked, answer.headers["Content-Type"])
    except Exception as error:  # whatever it was, it is told here or nowhere
        what = asked.source or "a body"
        text = f"{error}"
        if not isinstance(error, (ApiError, NotHealthy, objects.ObjectError)):
            log.exception("endpoint %s: async inference of %s", fleet.endpoint, what)
            text = f"{type(error).__name__}: {error}"
        log.warning("endpoint %s: async inference of %s failed: %s", fleet.endpoint, what, text)
        if asked.failure:
            _write_failure(fleet, asked.failure, text)
        async_notices.failed(fleet, asked, text)
    finally:
        fleet.count_backlog(-1)


def _answer(platform: Platform, fleet: Fleet, asked: Asked) -> Answer:
    timeout_s = float(asked.header("invocationtimeoutseconds") or TIMEOUT_S)
    ttl_s = float(asked.header("requestttlseconds") or TTL_S)
    content = asked.body
    headers = _as_sync(asked.headers)
    if asked.source:
        content = objects.read(asked.source)
        # SDK v2's AsyncPredictor uploads with a type, and then invokes without one.
        if not headers.get("content-type"):
            headers["content-type"] = objects.media_type(asked.source)
    variant = _woken(fleet, asked.received_s + ttl_s)
    # No limit of 6 MB here: bodies and answers lie in S3.
    arn = stream_arn_of(platform, fleet.endpoint)
    return call(variant, content, headers, arn, timeout_s)


def _write_failure(fleet: Fleet, failure: str, text: str) -> None:
    try:
        objects.write(failure, text.encode())
    except objects.ObjectError as unwritten:
        log.warning("endpoint %s: async inference: %s", fleet.endpoint, unwritten)


def _woken(fleet: Fleet, until_s: float) -> Variant:
    """A variant with an instance: a request waits where scaling has stopped all of them.

    until_s: since the epoch. NotHealthy then, and where the endpoint is deleted meanwhile.
    """
    while time.time() < until_s and not fleet.ended:
        variant = fleet.choose(None).variant
        if variant.instances:
            return variant
        time.sleep(LOOK_S)
    raise NotHealthy("the request expired in the queue: no instance came before its time was over")


def _as_sync(headers: dict[str, str]) -> dict[str, str]:
    """The asynchronous call's headers as the synchronous one has them."""
    renamed = {f"{PREFIX}{name}".lower(): name.lower() for name in ("Content-Type", "Accept")}
    own = {key: value for key, value in headers.items() if key not in ("content-type", "accept")}
    return {renamed.get(key, key): value for key, value in own.items()}
