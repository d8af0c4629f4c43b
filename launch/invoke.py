"""launch invoke: ask an endpoint for photos of this machine or of S3, and print its answers as a table."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from launch.context import LaunchContext
from launch.errors import LaunchError, is_missing, sentence
from launch.hosting import multi_model_name
from launch.requests_training import bucket, prefix

TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}
LIMIT = {
    "real-time": 6_291_456,
    "multi-model": 6_291_456,
    "serverless": 4_000_000,
    "async": 1_000_000_000,
}  # bytes of a body
CLIENTS = 4
ASYNC_TIMEOUT_S = 900


@dataclass(frozen=True)
class Photo:
    """A file of this machine, or an object of S3."""

    where: str

    @property
    def in_s3(self) -> bool:
        return self.where.startswith("s3://")

    @property
    def content_type(self) -> str:
        return TYPES.get(Path(self.where).suffix.lower(), "application/x-image")

    def s3_object(self) -> dict:
        """Bucket and key of an object."""
        name, _, key = self.where.removeprefix("s3://").partition("/")
        return {"Bucket": name, "Key": key}


@dataclass(frozen=True)
class Answer:
    """What came of a photo: the endpoint's first prediction, or why there is none."""

    photo: Photo
    prediction: dict
    failure: str = ""


def invoke(context: LaunchContext) -> int:
    """Ask for all photos; 1 when one has no answer."""
    photos = find_photos(context, context.options.photos)
    if not context.dry:  # made before the threads: making clients is not for several at once
        context.client("s3")
        context.client("sagemaker-runtime")
    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(lambda photo: ask(context, photo), photos))
    if context.dry:
        return 0
    for line in json_lines(answers) if context.options.json else table(answers):
        context.print(line)
    return 1 if any(answer.failure for answer in answers) else 0


def find_photos(context: LaunchContext, given: list[str]) -> list[Photo]:
    """Files, those below folders, objects, and those below prefixes that end in a slash. LaunchError when that is none."""
    found = []
    for text in given:
        path = Path(text)
        if text.startswith("s3://") and text.endswith("/") and not context.dry:
            s3_object = Photo(text).s3_object()
            pages = (
                context.client("s3")
                .get_paginator("list_objects_v2")
                .paginate(Bucket=s3_object["Bucket"], Prefix=s3_object["Key"])
            )
            found += [
                f"s3://{s3_object['Bucket']}/{entry['Key']}"
                for page in pages
                for entry in page.get("Contents", [])
                if Path(entry["Key"]).suffix.lower() in TYPES
            ]
        elif text.startswith("s3://"):
            found.append(text)
        elif path.is_dir():
            found += [str(one) for one in sorted(path.rglob("*")) if one.suffix.lower() in TYPES]
        elif path.is_file():
            found.append(text)
        else:
            raise LaunchError(f"there is no photo '{text}'")
    if not found:
        raise LaunchError(
            f"there are no photos in {', '.join(given)} (looked for {', '.join(TYPES)})"
        )
    return [Photo(text) for text in found]


def ask(context: LaunchContext, photo: Photo) -> Answer:
    """One photo's answer; a refusal becomes its failure."""
    try:
        body = (
            ask_async(context, photo)
            if context.recipe.settings.endpoint.kind == "async"
            else ask_now(context, photo)
        )
        return Answer(photo, {} if context.dry else json.loads(body)["predictions"][0])
    except (KeyError, IndexError, ValueError) as error:
        return Answer(
            photo,
            {},
            f"the endpoint's answer is not of the form that slipway-serve gives ({error!r})",
        )
    except Exception as error:
        if not hasattr(error, "response") and not isinstance(error, LaunchError):
            raise
        return Answer(photo, {}, refusal(error))


def ask_now(context: LaunchContext, photo: Photo) -> bytes:
    """InvokeEndpoint; the answer's body."""
    settings = context.recipe.settings.endpoint
    if context.dry:
        content: object = photo.where
    else:
        content = (
            context.client("s3").get_object(**photo.s3_object())["Body"].read()
            if photo.in_s3
            else Path(photo.where).read_bytes()
        )
        if len(content) > LIMIT[settings.kind]:
            raise LaunchError(
                f"it has {len(content) / 1e6:.1f} MB; {settings.kind} endpoints take {LIMIT[settings.kind] / 1e6:.1f} MB (async ones 1 GB)"
            )
    target = {"TargetModel": multi_model_name(context)} if settings.kind == "multi-model" else {}
    answer = context.ask(
        "sagemaker-runtime",
        "InvokeEndpoint",
        EndpointName=context.recipe.endpoint_name,
        Body=content,
        ContentType=photo.content_type,
        Accept="application/json",
        **target,
    )
    return b"" if context.dry else answer["Body"].read()


def ask_async(context: LaunchContext, photo: Photo) -> bytes:
    """InvokeEndpointAsync over an object, brought to S3 where it is not there; the body of what comes out."""
    where = photo.where
    if not photo.in_s3:
        key = f"{prefix(context.recipe)}/async/input/{context.stamp}/{Path(photo.where).parent.name}/{Path(photo.where).name}"
        context.ask(
            "s3",
            "PutObject",
            Bucket=bucket(context.recipe, context.location),
            Key=key,
            Body=photo.where if context.dry else Path(photo.where).read_bytes(),
            ContentType=photo.content_type,
        )
        where = f"s3://{bucket(context.recipe, context.location)}/{key}"
    answer = context.ask(
        "sagemaker-runtime",
        "InvokeEndpointAsync",
        EndpointName=context.recipe.endpoint_name,
        InputLocation=where,
        ContentType=photo.content_type,
        Accept="application/json",
    )
    return (
        b""
        if context.dry
        else wait_for(context, answer["OutputLocation"], answer.get("FailureLocation", ""))
    )


def wait_for(context: LaunchContext, output: str, failure: str) -> bytes:
    """The object at `output` once it is there. LaunchError with what lies at `failure`, or after ASYNC_TIMEOUT_S."""
    deadline = time.monotonic() + ASYNC_TIMEOUT_S
    while time.monotonic() < deadline:
        for where in filter(None, (output, failure)):
            try:
                body = context.client("s3").get_object(**Photo(where).s3_object())["Body"].read()
            except Exception as error:
                if not is_missing(error):
                    raise
                continue
            if where == output:
                return body
            raise LaunchError(reason(body.decode(errors="replace")))
        context.wait()
    raise LaunchError(f"no answer came to {output} within {ASYNC_TIMEOUT_S} s")


def refusal(error: Exception) -> str:
    """Why there is no answer: the container's own sentence where it gave one."""
    response = getattr(error, "response", {})
    if "OriginalMessage" in response:
        return f"{response.get('OriginalStatusCode')}: {reason(response['OriginalMessage'])}"
    return sentence(error)


def reason(text: str) -> str:
    try:
        return json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        return text.strip()


def table(answers: list[Answer]) -> list[str]:
    """One line a photo: photo, label, probability, the next label and its probability."""
    rows = [("photo", "label", "probability", "next", "")]
    for answer in answers:
        name = "/".join(Path(answer.photo.where).parts[-2:])
        if answer.failure:
            rows.append((name, f"failed: {answer.failure}", "", "", ""))
            continue
        second = (answer.prediction.get("top") or [{}, {}])[1:2] or [{}]
        rows.append(
            (
                name,
                answer.prediction["label"],
                f"{answer.prediction['probability']:.4f}",
                second[0].get("label", ""),
                f"{second[0]['probability']:.4f}" if "probability" in second[0] else "",
            )
        )
    widths = [
        max(len(row[column]) for row in rows if not row[1].startswith("failed: "))
        for column in range(5)
    ]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def json_lines(answers: list[Answer]) -> list[str]:
    return [
        json.dumps(
            {
                "photo": answer.photo.where,
                **({"error": answer.failure} if answer.failure else answer.prediction),
            },
            ensure_ascii=False,
        )
        for answer in answers
    ]
