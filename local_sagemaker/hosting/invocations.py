"""InvokeEndpoint: a caller's body to a container, and its answer back.

Limits and words are SageMaker's.
"""

import http.client
from dataclasses import dataclass

from local_sagemaker.contract import ApiError, check_headers, service
from local_sagemaker.hosting import multi_model
from local_sagemaker.hosting.calls import PREFIX, ask, model_error
from local_sagemaker.hosting.capture import capture
from local_sagemaker.hosting.deployed import Chosen
from local_sagemaker.hosting.fleet import KIND, Fleet
from local_sagemaker.hosting.variants import NotHealthy, Variant
from local_sagemaker.platform import Platform
from local_sagemaker.store import ACCOUNT, arn

# Source: InvokeEndpoint and serverless endpoints in SageMaker's guide.
TIMEOUT_S = 60
SERVERLESS_BYTES = 4 * 2**20
# Headers that go on to the container, after PREFIX.
PASSED_ON = ("Custom-Attributes", "Target-Model", "Target-Variant", "Inference-Id")
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. "
    "Review the latency metrics for each container in Amazon CloudWatch, resolve the issue, "
    "and try again."
)


@dataclass(frozen=True)
class Answer:
    """A container's answer; headers: those that go on to the caller."""

    body: bytes
    headers: dict[str, str]


def max_bytes() -> int:
    """The limit of a body, of requests and of answers, as botocore's model has it: 6 MB."""
    limit: int = service("sagemaker-runtime").shape_for("BodyBlob").metadata["max"]
    return limit


def fleet_of(platform: Platform, name: str) -> Fleet:
    """The fleet of an endpoint that answers. ApiError when it does not."""
    record = platform.store.find(KIND, name)
    fleet: Fleet | None = platform.runner(KIND, name)
    gone = record is None or record["EndpointStatus"] == "Deleting"
    if gone or fleet is None or not fleet.variants:
        raise ApiError("ValidationError", f"Endpoint {name} of account {ACCOUNT} not found.")
    return fleet


def invoke(platform: Platform, name: str, body: bytes, headers: dict[str, str]) -> Answer:
    """InvokeEndpoint. headers: the caller's, by lower-case names."""
    check_headers("InvokeEndpoint", headers)
    fleet = fleet_of(platform, name)
    if fleet.config.get("AsyncInferenceConfig"):
        raise ApiError("ValidationError", f"Endpoint {name} does not support this inference type.")
    chosen = fleet.choose(headers.get(f"{PREFIX}target-variant".lower()))
    limit = max_bytes()
    if chosen.slot:
        limit = SERVERLESS_BYTES
    if len(body) > limit:
        raise ApiError("", f"HTTP content length exceeded {limit} bytes.", 413)
    stream_arn = stream_arn_of(platform, name)
    if chosen.shadow:
        fleet.shadows.submit(_copy, name, chosen.shadow, body, headers, stream_arn)
    answer, chosen = _call_chosen(fleet, chosen, body, headers, stream_arn)
    if len(answer.body) > limit:
        raise model_error(500, f"Response payload size exceeded {limit} bytes.", stream_arn)
    _capture(name, chosen, body, headers, answer)
    return Answer(answer.body, {**answer.headers, "x-Amzn-Invoked-Production-Variant": chosen.name})


def _copy(
    endpoint: str, shadow: Chosen, body: bytes, headers: dict[str, str], stream_arn: str
) -> None:
    """A request to the shadow variant; its answer is captured, where the configuration says so."""
    answer = call(shadow.variant, body, headers, stream_arn, TIMEOUT_S)
    _capture(endpoint, shadow, body, headers, answer)


def _capture(
    endpoint: str, chosen: Chosen, body: bytes, headers: dict[str, str], answer: Answer
) -> None:
    capture(
        chosen.config,
        endpoint,
        chosen.name,
        (headers.get("content-type", ""), body),
        (answer.headers["Content-Type"], answer.body),
    )


def _call_chosen(
    fleet: Fleet, chosen: Chosen, body: bytes, headers: dict[str, str], stream_arn: str
) -> tuple[Answer, Chosen]:
    """The call, once more when the variant was just being replaced; and who answered."""
    try:
        return _call_one(chosen, body, headers, stream_arn), chosen
    except (NotHealthy, ConnectionRefusedError):
        try:
            other = fleet.choose(None)
            return _call_one(other, body, headers, stream_arn), other
        except (NotHealthy, ConnectionRefusedError) as error:
            raise ApiError(
                "ServiceUnavailable",
                f"endpoint {fleet.endpoint} has no running container at the moment",
                503,
            ) from error


def _call_one(chosen: Chosen, body: bytes, headers: dict[str, str], stream_arn: str) -> Answer:
    # Serverless calls over MaxConcurrency are refused at once: they do not wait.
    if chosen.slot and not chosen.slot.acquire(blocking=False):
        raise ApiError(
            "ThrottlingException", "Rate exceeded: MaxConcurrency of the serverless variant", 429
        )
    try:
        return call(chosen.variant, body, headers, stream_arn, TIMEOUT_S)
    finally:
        if chosen.slot:
            chosen.slot.release()


def call(
    variant: Variant, body: bytes, headers: dict[str, str], stream_arn: str, timeout_s: float
) -> Answer:
    """One request to one of the variant's containers. ApiError ModelError when it fails."""
    passed = {}
    for name in (*(f"{PREFIX}{name}" for name in PASSED_ON), "Content-Type", "Accept"):
        if headers.get(name.lower()):
            passed[name] = headers[name.lower()]
    url = variant.pick()
    path = "/invocations"
    if variant.multi_model:
        path = multi_model.path(variant, url, headers.get(f"{PREFIX}target-model".lower()))
    try:
        status, answered, content = ask(url, "POST", path, body, passed, timeout_s)
    except TimeoutError as error:
        raise model_error(0, TIMED_OUT, stream_arn) from error
    except ConnectionRefusedError:  # it has just gone: the caller may try another
        raise
    except (OSError, http.client.HTTPException) as error:
        raise model_error(
            0, f"the container closed the connection ({error})", stream_arn
        ) from error
    # SageMaker takes 200 alone for a success.
    if status != 200:
        raise model_error(status, content.decode("utf-8", errors="replace"), stream_arn)
    kept = {"Content-Type": answered.get("content-type", "application/octet-stream")}
    attributes = answered.get(f"{PREFIX}custom-attributes".lower())
    if attributes:
        kept[f"{PREFIX}Custom-Attributes"] = attributes
    return Answer(content, kept)


def stream_arn_of(platform: Platform, name: str) -> str:
    region = (platform.store.find(KIND, name) or {}).get("Region", "us-east-1")
    # arn:PARTITION:logs:REGION:ACCOUNT, made of a name of SageMaker's own
    account = arn(region, "", "").replace(":sagemaker:", ":logs:").rsplit(":", 1)[0]
    return f"{account}:log-group:/aws/sagemaker/Endpoints/{name}"
