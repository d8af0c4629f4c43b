"""The command invoke: the endpoint's predictions for photos, here or in S3, as a table."""

import time
from pathlib import Path

from artifact.photos.kinds import KNOWN, is_photo_name
from artifact.text.json_text import read_json
from launch.answers import Answer, Photo, accuracy_lines, json_lines, table
from launch.bucket_owners import check_request
from launch.context import LaunchContext
from launch.errors import LaunchError, is_missing, sentence
from launch.jobs import FAILED, FINE
from launch.multi_model import target_model
from launch.requests_training import bucket, prefix, s3_encryption, split_s3
from launch.threads import threads
from launch.visible_files import visible_files

# SageMaker's limits for the body of a request, in bytes.
LIMIT = {
    "real-time": 6_291_456,
    "multi-model": 6_291_456,
    "serverless": 4_000_000,
    "async": 1_000_000_000,
}
# Requests at the same time.
CLIENTS = 4
ASYNC_TIMEOUT_S = 900


def invoke(context: LaunchContext) -> int:
    """Classify all photos; 1 when one has no answer."""
    photos = find_photos(context, context.options.photos)
    if context.recipe.sagemaker.endpoint.kind == "multi-model":
        # Once, not for each photo.
        context.options.target = target_model(context)
    if not context.dry:
        # Made before the threads start: boto3's session is not thread-safe, its clients are.
        context.client("s3")
        context.client("sagemaker-runtime")
    with threads(CLIENTS) as clients:
        answers = list(clients.map(lambda photo: answer_of(context, photo), photos))
    if context.dry:
        return FINE
    lines = [*table(answers), *accuracy_lines(answers)]
    if context.options.json:
        lines = json_lines(answers)
    for line in lines:
        context.print(line)
    if any(answer.failure for answer in answers):
        return FAILED
    return FINE


def find_photos(context: LaunchContext, given: list[str]) -> list[Photo]:
    """Files, folders' files, objects, and the objects of prefixes that end in a slash.

    LaunchError where there is none.
    """
    found: list[Photo] = []
    for text in given:
        path = Path(text)
        if text.startswith("s3://") and text.endswith("/") and not context.dry:
            found += [labelled(one, text) for one in photos_under(context, text)]
        elif text.startswith("s3://") or path.is_file():
            found.append(Photo(text))
        elif path.is_dir():
            paths = [str(one) for one in visible_files(path) if is_photo_name(one.name)]
            found += [labelled(one, str(path)) for one in paths]
        else:
            raise LaunchError(f"the photo '{text}' does not exist")
    if not found:
        raise LaunchError(f"there are no photos in {', '.join(given)} (looked for {KNOWN})")
    return found


def labelled(where: str, folder: str) -> Photo:
    """A photo found below a folder, with the name of its class folder, if it lies in one."""
    below = where.removeprefix(folder).strip("/").split("/")
    return Photo(where, below[0] if len(below) > 1 else "")


def photos_under(context: LaunchContext, uri: str) -> list[str]:
    """s3:// URIs of the photos under a prefix."""
    bucket_name, key_prefix = split_s3(uri)
    paginator = context.client("s3").get_paginator("list_objects_v2")
    found = []
    for page in paginator.paginate(Bucket=bucket_name, Prefix=key_prefix):
        for entry in page.get("Contents", []):
            if is_photo_name(entry["Key"].rpartition("/")[2]):
                found.append(f"s3://{bucket_name}/{entry['Key']}")
    return found


def answer_of(context: LaunchContext, photo: Photo) -> Answer:
    """One photo's answer; a refusal becomes its failure."""
    try:
        if context.recipe.sagemaker.endpoint.kind == "async":
            body = ask_async(context, photo)
        else:
            body = ask_now(context, photo)
        if context.dry:
            return Answer(photo, {})
        return Answer(photo, read_json(body)["predictions"][0])
    except (KeyError, IndexError, ValueError) as error:
        failure = f"the endpoint's answer has not the form of slipway-serve's answers ({error!r})"
        return Answer(photo, {}, failure)
    except Exception as error:
        # Only botocore's errors have a response.
        if not hasattr(error, "response") and not isinstance(error, LaunchError):
            raise
        return Answer(photo, {}, refusal(error))


def ask_now(context: LaunchContext, photo: Photo) -> bytes:
    """InvokeEndpoint; the answer's body."""
    kind = context.recipe.sagemaker.endpoint.kind
    content: str | bytes = photo.where
    if not context.dry:
        content = read_photo(context, photo)
        if len(content) > LIMIT[kind]:
            raise LaunchError(
                f"it has {len(content) / 1e6:.1f} MB; "
                f"{kind} endpoints take {LIMIT[kind] / 1e6:.1f} MB (async ones 1 GB)"
            )
    target = {}
    if kind == "multi-model":
        target["TargetModel"] = context.options.target
    answer = context.ask(
        "sagemaker-runtime",
        "InvokeEndpoint",
        EndpointName=context.recipe.endpoint_name,
        Body=content,
        ContentType=photo.content_type,
        Accept="application/json",
        **target,
    )
    if context.dry:
        return b""
    body: bytes = answer["Body"].read()
    return body


def read_photo(context: LaunchContext, photo: Photo) -> bytes:
    if photo.in_s3:
        return read_object(context, photo)
    return Path(photo.where).read_bytes()


def read_object(context: LaunchContext, photo: Photo) -> bytes:
    content: bytes = context.client("s3").get_object(**photo.s3_object())["Body"].read()
    return content


def ask_async(context: LaunchContext, photo: Photo) -> bytes:
    """InvokeEndpointAsync for an object of S3; its output's body. A file is put there first."""
    where = photo.where
    if not photo.in_s3:
        where = put_input(context, photo)
    check_request(context, where)
    answer = context.ask(
        "sagemaker-runtime",
        "InvokeEndpointAsync",
        EndpointName=context.recipe.endpoint_name,
        InputLocation=where,
        ContentType=photo.content_type,
        Accept="application/json",
    )
    if context.dry:
        return b""
    return wait_for(context, answer["OutputLocation"], answer.get("FailureLocation", ""))


def put_input(context: LaunchContext, photo: Photo) -> str:
    """Put a file into S3 for an asynchronous request; its s3:// URI."""
    path = Path(photo.where)
    bucket_name = bucket(context.recipe, context.location)
    # The stamp keeps the inputs of two commands apart, the folder two photos of one name.
    folder = f"{prefix(context.recipe)}/async/input/{context.stamp}/{path.parent.name}"
    body: str | bytes = photo.where
    if not context.dry:
        body = path.read_bytes()
    context.ask(
        "s3",
        "PutObject",
        Bucket=bucket_name,
        Key=f"{folder}/{path.name}",
        Body=body,
        ContentType=photo.content_type,
        **s3_encryption(context.recipe.sagemaker.kms_key),
    )
    return f"s3://{bucket_name}/{folder}/{path.name}"


def wait_for(context: LaunchContext, output: str, failure: str) -> bytes:
    """The object at `output`, as soon as it exists.

    LaunchError with the reason at `failure`, or after ASYNC_TIMEOUT_S.
    """
    deadline = time.monotonic() + ASYNC_TIMEOUT_S
    while time.monotonic() < deadline:
        for where in filter(None, (output, failure)):
            try:
                body = read_object(context, Photo(where))
            except Exception as error:
                if not is_missing(error):
                    raise
                continue
            # SageMaker writes one of the two objects.
            if where == output:
                return body
            raise LaunchError(reason(body.decode(errors="replace")))
        context.wait()
    raise LaunchError(f"no answer came to {output} within {ASYNC_TIMEOUT_S} s")


def refusal(error: Exception) -> str:
    """Why no answer came: the container's own sentence where it gave one."""
    response = getattr(error, "response", None) or {}  # None: no answer came
    if "OriginalMessage" in response:
        return f"{response.get('OriginalStatusCode')}: {reason(response['OriginalMessage'])}"
    return sentence(error)


def reason(text: str) -> str:
    """The sentence in a container's JSON error; else the text itself."""
    try:
        return str(read_json(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text.strip()
