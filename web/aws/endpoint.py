"""The API's parts on AWS: one endpoint that answers, and one prefix of S3 with sample photos.

It gets its clients, so it knows no credentials.
"""

import base64
import random
import re
import time
from collections.abc import Callable
from itertools import chain
from typing import Any, Generic, TypeVar

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from artifact.photos.kinds import KINDS
from artifact.saliency import Saliency
from artifact.text.json_text import read_json
from web.exchange import Failure
from web.model import MAX_SAMPLE_BYTES, Label, Prediction, Sample

# A grey PNG of 32 x 32 pixels, to ask the endpoint when nobody has sent a photo.
GREY = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAAAAABWESUoAAAAGElEQVR42mNsYMAPmBhG"
    "FYwqGFUwQhUAAJe+AMD8WknZAAAAAElFTkSuQmCC"
)
ALL_LABELS = 50_000  # slipway-serve's maximum per answer
# Seconds for which an answer is kept.
LABELS_S = 300.0
HEALTH_S = 10.0
SAMPLES_S = 600.0
# Below the prefix: a label's folder and a photo in it, neither of them hidden.
SHOWN_KINDS = [kind for kind in KINDS if kind.name in ("JPEG", "PNG", "WEBP", "GIF", "BMP")]
HANDED_OUT = tuple(chain.from_iterable(kind.suffixes for kind in SHOWN_KINDS))
PHOTO_KEY = re.compile(r"[^/.][^/]*/([^/.][^/]*)")
MAX_KEYS = 20_000
# The container's statuses that the client can do something about, and those of a busy one.
REFUSED = (400, 413, 415, 422)
BUSY = (408, 429, 503, 504)
# Seconds after which to ask again.
STARTING_S = 30
BUSY_S = 5
OUT_OF_SERVICE = r"(?i)not found|not in service|could not find|updating|creating"

# A client of boto3, which makes its methods at run time.
Client = Any
Value = TypeVar("Value")


class Cached(Generic[Value]):
    """A value that is made anew once it is older than some seconds. Failures are not kept."""

    def __init__(self, make: Callable[[], Value], seconds: float):
        self._make = make
        self._seconds = seconds
        self._kept: tuple[Value, float] | None = None  # and the end of its time

    def __call__(self) -> Value:
        if self._kept is None or time.monotonic() >= self._kept[1]:
            value = self._make()
            self._kept = (value, time.monotonic() + self._seconds)
        return self._kept[0]

    def forget(self) -> None:
        self._kept = None


class Endpoint:
    """A SageMaker endpoint with slipway-serve in it. All methods raise Failure.

    runtime: a client of sagemaker-runtime. name: the endpoint's; `name/model.tar.gz` for one model
    of a multi-model endpoint.
    """

    def __init__(self, runtime: Client, name: str):
        endpoint, _, target = name.partition("/")
        self._runtime = runtime
        self._target = {"EndpointName": endpoint}
        if target:
            self._target["TargetModel"] = target
        self.labels = Cached(self._all_labels, LABELS_S)
        self.health = Cached(lambda: self.classify(GREY, "image/png", 1), HEALTH_S)

    def classify(self, photo: bytes, kind: str, top_k: int) -> Prediction:
        """The prediction for an encoded photo of that media type, with its top_k labels."""
        return prediction_in(self._answer(photo, kind, f"top_k={top_k}"))

    def saliency(self, photo: bytes, kind: str) -> Saliency:
        """Which parts of an encoded photo of that media type its answer comes from."""
        return saliency_in(self._answer(photo, kind, "saliency=true"))

    def _answer(self, photo: bytes, kind: str, attributes: str) -> bytes:
        """What the container answers. attributes: `name=value`, as slipway-serve reads them."""
        try:
            answer = self._runtime.invoke_endpoint(
                **self._target,
                Body=photo,
                ContentType=kind,
                Accept="application/json",
                CustomAttributes=attributes,
            )
            body: bytes = answer["Body"].read()
            return body
        except ClientError as error:
            raise failure_of(error) from error
        except (ConnectionError, HTTPClientError) as error:
            raise Failure(
                503, f"the endpoint does not answer; ask again in {BUSY_S} s", BUSY_S
            ) from error

    def _all_labels(self) -> list[str]:
        prediction = self.classify(GREY, "image/png", ALL_LABELS)
        return sorted(top["label"] for top in prediction["top"])


class Samples:
    """Photos under a prefix of a bucket, `<prefix><label>/<photo>`. s3: a client of S3."""

    def __init__(self, s3: Client, bucket: str, prefix: str):
        self._s3 = s3
        self._bucket = bucket
        self._prefix = prefix
        self._keys = Cached(self._listed, SAMPLES_S)

    def __call__(self) -> Sample:
        """A random one. Raises Failure 404 without photos, 503 where S3 does not answer."""
        try:
            return self._random()
        except ClientError:
            # the photo may have gone since it was listed; S3 answers that with 403, too
            self._keys.forget()
            return self._random()
        except (ConnectionError, HTTPClientError) as error:
            raise Failure(
                503, f"the sample photos cannot be reached; ask again in {BUSY_S} s", BUSY_S
            ) from error

    def _random(self) -> Sample:
        keys = self._keys() if self._bucket else []
        if not keys:
            raise Failure(
                404,
                "there are no sample photos here; "
                "deploy with a prefix of photos, with a folder per label",
            )
        key = random.choice(keys)
        photo = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        label, name = key.removeprefix(self._prefix).split("/")
        return Sample(label, name, photo)

    def _listed(self) -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix, PaginationConfig={"MaxItems": MAX_KEYS}
        )
        keys: list[str] = []
        for page in pages:
            for entry in page.get("Contents", ()):
                name = entry["Key"].removeprefix(self._prefix)
                found = PHOTO_KEY.fullmatch(name)
                if found and entry["Size"] <= MAX_SAMPLE_BYTES and _is_handed_out(found[1]):
                    keys.append(entry["Key"])
        return keys


def _is_handed_out(name: str) -> bool:
    """Whether a photo of this name is of a format whose metadata can be taken out here."""
    return name.lower().endswith(HANDED_OUT)


def failure_of(error: ClientError) -> Failure:
    """The meaning of a failed InvokeEndpoint for the client.

    SageMaker wraps each refusal of the container in a 424 named ModelError. Raises the error itself
    if only the API's owner can help, such as a missing permission.
    """
    response: Any = error.response  # Any: ModelError's fields are not in botocore's type of it
    code = response["Error"].get("Code", "")
    message = response["Error"].get("Message", "")
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "ModelError":
        return _refused(response.get("OriginalStatusCode", 0), response.get("OriginalMessage", ""))
    if status == 413 or "length less than or equal to" in message:
        # 4 MB is the limit of serverless endpoints; others take 6
        return Failure(413, "the photo is larger than the endpoint takes; send one of at most 4 MB")
    if code == "ModelNotReadyException":
        return Failure(503, f"the model is starting; ask again in {STARTING_S} s", STARTING_S)
    is_validation = code in ("ValidationError", "ValidationException")
    if is_validation and re.search(OUT_OF_SERVICE, message):
        return Failure(
            503,
            f"the endpoint is not in service, perhaps it is starting; ask again in {STARTING_S} s",
            STARTING_S,
        )
    if status in (429, 500, 503, 530) or "Throttl" in code:
        return Failure(503, f"the endpoint is busy; ask again in {BUSY_S} s", BUSY_S)
    raise error


def _refused(status: int, message: str) -> Failure:
    """The container's status and sentence; the sentence stands in JSON if it is Slipway's."""
    try:
        sentence = str(read_json(message)["error"])
    except (ValueError, KeyError, TypeError):
        sentence = " ".join(message.split())[:300]
    if status in REFUSED:
        return Failure(status, sentence or "the endpoint refuses this photo")
    if status in BUSY:
        return Failure(503, sentence or "the endpoint is busy", BUSY_S)
    return Failure(502, f"the endpoint failed: {sentence or 'it does not say why'}")


def prediction_in(text: bytes) -> Prediction:
    """The one prediction in an answer of /invocations.

    Raises Failure 502 for another answer, which only a model from elsewhere gives.
    """
    try:
        found = read_json(text)["predictions"][0]
        prediction: Prediction = {
            "label": str(found["label"]),
            "probability": float(found["probability"]),
            "top": [_label(top) for top in found["top"]],
        }
        if "labels" in found:
            prediction["labels"] = found["labels"]
        if "known" in found:
            prediction["known"] = bool(found["known"])
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise Failure(
            502,
            "the endpoint's answer is not that of slipway-serve; "
            "deploy a model that Slipway trained",
        ) from error
    return prediction


def saliency_in(text: bytes) -> Saliency:
    """What decides, in an answer of /invocations.

    Raises Failure 404 for an answer without it, which an older slipway-serve gives.
    """
    try:
        found = read_json(text)["saliency"]
        return {
            "label": str(found["label"]),
            "probability": float(found["probability"]),
            "heat": [[float(share) for share in row] for row in found["heat"]],
            "view": float(found["view"]),
            "fall": float(found["fall"]),
            "asked": int(found["asked"]),
        }
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(
            404,
            "the endpoint's image is older than this page, and does not say which parts decide; "
            "deploy the endpoint anew",
        ) from error


def _label(found: Any) -> Label:
    return {"label": str(found["label"]), "probability": float(found["probability"])}
