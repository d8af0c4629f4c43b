"""launch batch: ask a model for many photos at once by a transform job, and print its answers as `invoke` prints an endpoint's."""

import json
from pathlib import Path

from launch.context import LaunchContext
from launch.download import fetch_prefix
from launch.hosting import model_source
from launch.invoke import Answer, Photo, table
from launch.jobs import FAILED, FINE, finish, start, unfinished
from launch.requests_hosting import model, transform_job
from launch.requests_training import bucket, dated, prefix, s3
from launch.upload import Channel, files_of, upload


def batch(context: LaunchContext) -> int:
    """Ask a model for every photo of a folder or an s3:// prefix, by a transform job; 1 when it failed, or a photo has no answer."""
    running = unfinished(context, "transform")
    if running:
        context.print(f"batch: {running.name} still runs; following it (--again starts another)")
        return finish_batch(context, running.name)
    recipe, settings = context.recipe, context.recipe.settings.batch
    name = dated(f"{recipe.name}-batch", context.stamp)
    photos = context.options.photos
    if not photos.startswith("s3://"):
        photos = bring_photos(context, Path(photos))
    request = transform_job(recipe, context.location, name, name, photos)
    source = model_source(context)
    context.note("model", name, data=source)
    context.ask(
        "sagemaker",
        "CreateModel",
        **model(recipe, context.target, name, source, settings.image, settings.environment),
    )
    start(context, "transform", name, "CreateTransformJob", request)
    return FINE if context.dry else finish_batch(context, name)


def finish_batch(context: LaunchContext, name: str) -> int:
    """Follow a transform job to its end, and print what it answered."""
    code = finish(context, "transform", name)
    context.print(
        f"answers: {s3(context.recipe, context.location, 'batch', name)}/ (one .out a photo)"
    )
    if code != FINE or context.options.no_wait:
        return code
    folder = context.out / "launch" / context.recipe.slug / name
    paths = fetch_prefix(context, f"{prefix(context.recipe)}/batch/{name}/", folder)
    answers = [
        read_answer(path, path.relative_to(folder).as_posix().removesuffix(".out"))
        for path in sorted(paths)
    ]
    for line in table(answers):
        context.print(line)
    return FAILED if any(answer.failure for answer in answers) else FINE


def read_answer(path: Path, photo: str) -> Answer:
    """What a transform job wrote for one photo: a prediction, or the error that stands in its place."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return (
            Answer(Photo(photo), {}, found["error"])
            if "error" in found
            else Answer(Photo(photo), found["predictions"][0])
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        return Answer(
            Photo(photo),
            {},
            f"the answer in '{path}' is not of the form that slipway-serve gives ({error!r})",
        )


def bring_photos(context: LaunchContext, folder: Path) -> str:
    """A folder's photos in S3; its prefix."""
    files = files_of(folder)
    key = f"{prefix(context.recipe)}/batch-input/{folder.absolute().name}/"
    channel = Channel(
        None if context.dry else context.client("s3"),
        bucket(context.recipe, context.location),
        key,
        context.recipe.settings.kms_key,
    )
    if context.dry:
        for file in files:
            context.ask("s3", "PutObject", **channel.put_request(file), Body=str(file.path))
    else:
        upload(channel, files, context.print, folder.name)
    return f"s3://{channel.bucket}/{key}"
