"""The command batch: predictions for many photos by a transform job, printed like `invoke`'s."""

from dataclasses import replace
from pathlib import Path

from artifact.photos.kinds import is_photo_name
from artifact.text.json_text import read_json
from launch.answers import Answer, Photo, json_lines, table
from launch.architectures import fitting_image
from launch.channels import bring_folder
from launch.context import LaunchContext, to_stderr
from launch.download import fetch_prefix
from launch.jobs import FAILED, FINE, finish, start, unfinished
from launch.making import make
from launch.model_source import model_source
from launch.requests_batch import transform_job
from launch.requests_hosting import batch_environment, model
from launch.requests_training import dated, folder_uri, prefix, s3


def batch(context: LaunchContext) -> int:
    """Run a transform job over all photos of a folder or an s3:// prefix.

    1 when it failed, or when a photo has no answer.
    """
    running = unfinished(context, "transform")
    if running:
        for_people(context).print(
            f"batch: {running.name} still runs; following it (--again starts another)"
        )
        return finish_batch(context, running.name)
    recipe = context.recipe
    settings = recipe.sagemaker.batch
    image = fitting_image(context, settings.image, settings.instance_type)
    name = dated(f"{recipe.name}-batch", context.stamp)
    photos = context.options.photos
    if not photos.startswith("s3://"):
        photos = bring_folder(for_people(context), Path(photos), "batch-input")
    elif not is_photo_name(photos.rpartition("/")[2]):
        photos = folder_uri(photos)  # not a single photo
    # Model and job share a name: each job has a model of its own.
    request = transform_job(recipe, context.location, name, name, photos)
    source = model_source(for_people(context))
    context.note("model", name, data=source)
    created = model(recipe, context.target, name, source, image, batch_environment(recipe))
    make(context, "CreateModel", created)
    start(for_people(context), "transform", name, "CreateTransformJob", request)
    if context.dry:
        return FINE
    return finish_batch(context, name)


def finish_batch(context: LaunchContext, name: str) -> int:
    """Follow a transform job to its end, and print its answers."""
    people = for_people(context)
    code = finish(people, "transform", name)
    where = s3(context.recipe, context.location, "batch", name)
    people.print(f"answers: {where}/ (one .out per photo)")
    if code != FINE or context.options.no_wait:
        return code
    # SageMaker writes PHOTO.out for each photo, in the folders of the input.
    folder = context.out / "launch" / context.recipe.slug / name
    paths = fetch_prefix(context, f"{prefix(context.recipe)}/batch/{name}/", folder)
    answers = []
    for path in sorted(paths):
        photo = path.relative_to(folder).as_posix().removesuffix(".out")
        answers.append(read_answer(path, photo))
    for line in json_lines(answers) if context.options.json else table(answers):
        context.print(line)
    if any(answer.failure for answer in answers):
        return FAILED
    return FINE


def for_people(context: LaunchContext) -> LaunchContext:
    """The context; with --json its lines for people go to standard error."""
    if context.options.json:
        return replace(context, print=to_stderr)
    return context


def read_answer(path: Path, photo: str) -> Answer:
    """A transform job's file for one photo: a prediction, or the error in its place."""
    try:
        found = read_json(path.read_text(encoding="utf-8"))
        if "error" in found:
            return Answer(Photo(photo), {}, found["error"])
        return Answer(Photo(photo), found["predictions"][0])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        failure = f"the answer in '{path}' has not the form of slipway-serve's answers ({error!r})"
        return Answer(Photo(photo), {}, failure)
