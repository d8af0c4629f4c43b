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


def batch(desk: LaunchContext) -> int:
    """Ask a model for every photo of a folder or an s3:// prefix, by a transform job; 1 when it failed, or a photo has no answer."""
    running = unfinished(desk, "transform")
    if running:
        desk.tell(f"batch: {running.name} still runs; following it (--again starts another)")
        return finish_batch(desk, running.name)
    recipe, settings = desk.recipe, desk.recipe.settings.batch
    name = dated(f"{recipe.name}-batch", desk.stamp)
    photos = desk.options.photos
    if not photos.startswith("s3://"):
        photos = bring_photos(desk, Path(photos))
    request = transform_job(recipe, desk.place, name, name, photos)
    source = model_source(desk)
    desk.note("model", name, data=source)
    desk.ask(
        "sagemaker",
        "CreateModel",
        **model(recipe, desk.target, name, source, settings.image, settings.environment),
    )
    start(desk, "transform", name, "CreateTransformJob", request)
    return FINE if desk.dry else finish_batch(desk, name)


def finish_batch(desk: LaunchContext, name: str) -> int:
    """Follow a transform job to its end, and print what it answered."""
    code = finish(desk, "transform", name)
    desk.tell(f"answers: {s3(desk.recipe, desk.place, 'batch', name)}/ (one .out a photo)")
    if code != FINE or desk.options.no_wait:
        return code
    folder = desk.out / "launch" / desk.recipe.slug / name
    paths = fetch_prefix(desk, f"{prefix(desk.recipe)}/batch/{name}/", folder)
    answers = [
        read_answer(path, path.relative_to(folder).as_posix().removesuffix(".out"))
        for path in sorted(paths)
    ]
    for line in table(answers):
        desk.tell(line)
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


def bring_photos(desk: LaunchContext, folder: Path) -> str:
    """A folder's photos in S3; its prefix."""
    files = files_of(folder)
    key = f"{prefix(desk.recipe)}/batch-input/{folder.absolute().name}/"
    channel = Channel(
        None if desk.dry else desk.client("s3"),
        bucket(desk.recipe, desk.place),
        key,
        desk.recipe.settings.kms_key,
    )
    if desk.dry:
        for file in files:
            desk.ask("s3", "PutObject", **channel.put_request(file), Body=str(file.path))
    else:
        upload(channel, files, desk.tell, folder.name)
    return f"s3://{channel.bucket}/{key}"
