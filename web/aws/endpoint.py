"""What the API has on AWS: one endpoint that answers, and one prefix of S3 with sample photos. The clients are given, so this knows no
credentials; Lambda's own boto3 does.
"""

import base64
import json
import random
import re
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from web.exchange import Failure
from web.model import MAX_SAMPLE_BYTES, Sample

# A grey PNG of 32 x 32 pixels: what the endpoint is asked with when nobody sent a photo
GREY = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAAAAABWESUoAAAAGElEQVR42mNsYMAPmBhGFYwqGFUwQhUAAJe+AMD8WknZAAAAAElFTkSuQmCC"
)
ALL = 50_000  # labels; slipway-serve answers with no more
LABELS_S, HEALTH_S, SAMPLES_S = 300.0, 10.0, 600.0  # for which an answer is kept
PHOTO_KEY = re.compile(
    r"(?i)[^/.][^/]*/[^/.][^/]*\.(jpe?g|png|gif|webp|bmp|tiff?)"
)  # below the prefix; hidden files are no photos
MAX_KEYS = 20_000
REFUSED = (400, 413, 415, 422)  # what the client did wrong, by the container's own word
STARTING_S, BUSY_S = 30, 5  # after which to ask again


class Cached:
    """A value that is made anew once it is older than so many seconds. Failures are not kept."""

    def __init__(self, make: Callable[[], Any], seconds: float):
        self._make, self._seconds, self._until, self._value = make, seconds, 0.0, None

    def __call__(self) -> Any:
        if time.monotonic() >= self._until:
            self._value = self._make()
            self._until = time.monotonic() + self._seconds
        return self._value

    def forget(self) -> None:
        self._until = 0.0


class Endpoint:
    """A SageMaker endpoint with slipway-serve in it. runtime: a client of sagemaker-runtime; name: the endpoint's, of a multi-model one
    `name/model.tar.gz`. All methods raise Failure alone, for what an endpoint may answer."""

    def __init__(self, runtime: Any, name: str):
        endpoint, _, target = name.partition("/")
        self._runtime, self._asked = (
            runtime,
            {"EndpointName": endpoint, **({"TargetModel": target} if target else {})},
        )
        self.labels = Cached(
            lambda: sorted(top["label"] for top in self.classify(GREY, "image/png", ALL)["top"]),
            LABELS_S,
        )
        self.health = Cached(lambda: self.classify(GREY, "image/png", 1), HEALTH_S)

    def classify(self, photo: bytes, kind: str, top_k: int) -> dict:
        """The prediction for an encoded photo of that media type, with its top_k labels."""
        try:
            answer = self._runtime.invoke_endpoint(
                **self._asked,
                Body=photo,
                ContentType=kind,
                Accept="application/json",
                CustomAttributes=f"top_k={top_k}",
            )
            return prediction_in(answer["Body"].read())
        except ClientError as error:
            raise failure_of(error) from error
        except (ConnectionError, HTTPClientError) as error:
            raise Failure(
                503, f"the endpoint does not answer; ask again in {BUSY_S} s", BUSY_S
            ) from error


class Samples:
    """Photos under a prefix of a bucket, `<prefix><label>/<photo>`. s3: a client of S3."""

    def __init__(self, s3: Any, bucket: str, prefix: str):
        self._s3, self._bucket, self._prefix = s3, bucket, prefix
        self._keys = Cached(self._listed, SAMPLES_S)

    def __call__(self) -> Sample:
        """A random one. Failure 404 where there are none, 503 where S3 does not answer."""
        try:
            return self._one()
        except ClientError:
            self._keys.forget()  # the photo may have gone since it was listed; S3 says 403 of that, too
            return self._one()
        except (ConnectionError, HTTPClientError) as error:
            raise Failure(
                503, f"the sample photos cannot be reached; ask again in {BUSY_S} s", BUSY_S
            ) from error

    def _one(self) -> Sample:
        keys = self._keys() if self._bucket else []
        if not keys:
            raise Failure(
                404,
                "there are no sample photos here; deploy with a prefix of photos, one folder a label",
            )
        key = random.choice(keys)
        photo = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        label, name = key.removeprefix(self._prefix).split("/")
        return Sample(label, name, photo)

    def _listed(self) -> list[str]:
        keys: list[str] = []
        for page in self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix, PaginationConfig={"MaxItems": MAX_KEYS}
        ):
            keys += [
                entry["Key"]
                for entry in page.get("Contents", ())
                if entry["Size"] <= MAX_SAMPLE_BYTES
                and PHOTO_KEY.fullmatch(entry["Key"].removeprefix(self._prefix))
            ]
        return keys


def failure_of(error: ClientError) -> Failure:
    """What a failed InvokeEndpoint means for the client. SageMaker wraps all that the container refuses in a 424 named ModelError.

    The error itself for what only the API's owner can mend, such as a missing permission.
    """
    code, message = (
        error.response["Error"].get("Code", ""),
        error.response["Error"].get("Message", ""),
    )
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "ModelError":
        return _refused(
            error.response.get("OriginalStatusCode", 0), error.response.get("OriginalMessage", "")
        )
    if status == 413 or "length less than or equal to" in message:
        return Failure(
            413, "the photo is larger than the endpoint takes; send one of at most 4 MB"
        )  # serverless ones' limit; others take 6
    if code == "ModelNotReadyException":
        return Failure(503, f"the model is starting; ask again in {STARTING_S} s", STARTING_S)
    if code in ("ValidationError", "ValidationException") and re.search(
        r"(?i)not found|not in service|could not find|updating|creating", message
    ):
        return Failure(
            503,
            f"the endpoint is not in service, perhaps it is starting; ask again in {STARTING_S} s",
            STARTING_S,
        )
    if status in (429, 500, 503, 530) or "Throttl" in code:
        return Failure(503, f"the endpoint is busy; ask again in {BUSY_S} s", BUSY_S)
    raise error


def _refused(status: int, message: str) -> Failure:
    """The container's own answer: its status and its sentence, which is JSON where the container is Slipway's."""
    try:
        sentence = str(json.loads(message)["error"])
    except (ValueError, KeyError, TypeError):
        sentence = " ".join(message.split())[:300]
    if status in REFUSED:
        return Failure(status, sentence or "the endpoint refuses this photo")
    if status in (408, 429, 503, 504):
        return Failure(503, sentence or "the endpoint is busy", BUSY_S)
    return Failure(502, f"the endpoint failed: {sentence or 'it does not say why'}")


def prediction_in(text: bytes) -> dict:
    """The one prediction in an answer of /invocations. Failure 502 for anything else, which only a foreign endpoint gives."""
    try:
        prediction = json.loads(text)["predictions"][0]
        return {
            "label": str(prediction["label"]),
            "probability": float(prediction["probability"]),
            "top": [
                {"label": str(top["label"]), "probability": float(top["probability"])}
                for top in prediction["top"]
            ],
            **({"labels": prediction["labels"]} if "labels" in prediction else {}),
        }
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise Failure(
            502,
            "the endpoint's answer is not that of slipway-serve; deploy a model that Slipway trained",
        ) from error
