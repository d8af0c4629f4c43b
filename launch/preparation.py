"""The command prepare: the recipe's photos to a split data set in S3, by two processing jobs."""

from itertools import chain
from pathlib import Path

from artifact.folders.channels import ROLE_OF
from launch.answers import Photo
from launch.aws import Response
from launch.channels import bring_folder
from launch.context import LaunchContext
from launch.download import fetch
from launch.errors import LaunchError
from launch.follow import ENDED, status_of
from launch.jobs import FINE, describe_or_none, finish, start, unfinished
from launch.requests_processing import CHANNELS, Photos, join_job, prepared_uri, shard_job
from launch.requests_training import dated, folder_uri
from launch.state import Entry

KIND = "processing"
SHARDS = "shards"  # the steps, in the notes
JOIN = "join"
LISTS = (".csv", ".json", ".jsonl", ".manifest")  # of labels, beside the photos
REPORT = "report.html"


def prepare(context: LaunchContext) -> int:
    """Prepare the recipe's photos on SageMaker: several machines decode, one splits and reports.

    The photos are those of `prepare: photos:`, a folder here or an s3:// prefix. It ends with the
    channels for the recipe. After Ctrl-C the same command goes on.
    """
    running = unfinished(context, KIND)
    if running and step_of(running) == JOIN:
        context.print(f"prepare: {running.name} still runs; following it (--again starts another)")
        return finish_step(context, running)
    shards = None if context.options.again else unfinished_shards(context)
    if shards is None:
        name = dated(f"{context.recipe.name}-shards", context.stamp)
        request = shard_job(context.recipe, context.target, name, bring(context))
        start(context, KIND, name, "CreateProcessingJob", request, step=SHARDS)
        shards = name
    else:
        context.print(f"prepare: going on with {shards} (--again starts anew)")
    if not context.dry and (code := finish(context, KIND, shards)) != FINE:
        return code
    name = dated(f"{context.recipe.name}-prepared", context.stamp)
    request = join_job(context.recipe, context.target, name, shards)
    start(context, KIND, name, "CreateProcessingJob", request, step=JOIN)
    if context.dry:
        return FINE
    return finish_join(context, name)


def finish_join(context: LaunchContext, name: str) -> int:
    """Follow the second step to its end, and show what it prepared."""
    code = finish(context, KIND, name)
    if code == FINE:
        show(context, name)
    return code


def finish_step(context: LaunchContext, entry: Entry) -> int:
    """Follow either step to its end, as `follow` does; after the first, say how to go on."""
    if step_of(entry) == JOIN:
        return finish_join(context, entry.name)
    code = finish(context, KIND, entry.name)
    if code == FINE and step_of(entry) == SHARDS:
        context.print(f"follow: `launch prepare {context.recipe.path}` goes on with {entry.name}")
    return code


def step_of(entry: Entry) -> str:
    """Which step a job is; empty for a job that is neither."""
    return str(entry.facts.get("step", ""))


def step_in(answer: Response) -> str:
    """The same of DescribeProcessingJob's answer, by what the job makes."""
    outputs = answer.get("ProcessingOutputConfig", {}).get("Outputs", [])
    made = [output["OutputName"] for output in outputs]
    return {"shard": SHARDS, "prepared": JOIN}.get("".join(made), "")


def unfinished_shards(context: LaunchContext) -> str | None:
    """The latest first step that no second one has followed, and that has not failed."""
    latest: Entry | None = context.state.latest(KIND)
    if context.dry or latest is None or step_of(latest) != SHARDS:
        return None
    answer = describe_or_none(context, KIND, latest.name)
    if answer is None:
        return None
    status = status_of(KIND, answer)
    return latest.name if status == "Completed" or status not in ENDED else None


def bring(context: LaunchContext) -> Photos:
    """The photos in S3; those of a folder here are sent first. LaunchError without any."""
    recipe = context.recipe
    given = context.options.photos or recipe.prepare.photos
    if not given:
        raise LaunchError(
            f"the recipe '{recipe.path}' names no photos; set `prepare: photos:`, or give --photos"
        )
    if recipe.prepare.keep_split:
        raise LaunchError("`launch prepare` does not do prepare.keep_split; prepare them here")
    if given.startswith("s3://"):
        return Photos(folder_uri(given), recipe.prepare.labels)
    folder = Path(context.options.photos) if context.options.photos else recipe.photos_folder()
    if not folder.is_dir():
        raise LaunchError(f"'{folder}' is not a folder; unpack an archive first")
    labels = labels_below(context, folder)
    uri = bring_folder(context, folder, "photos")
    return Photos(uri, labels, is_plain(folder) and not labels)


def is_plain(folder: Path) -> bool:
    """Whether a folder has folders of classes alone, with photos right in them."""
    shown = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if not all(path.is_dir() and path.name.casefold() not in ROLE_OF for path in shown):
        return False
    entries = chain.from_iterable(path.iterdir() for path in shown)
    return not any(entry.is_dir() for entry in entries)


def labels_below(context: LaunchContext, folder: Path) -> str:
    """The list of labels, below the photos' folder; "" where folders say the classes."""
    given = context.recipe.prepare.labels
    if given:
        beside = context.recipe.path.parent if context.recipe.path else Path()
        path = (beside / given).absolute()
        if not path.is_relative_to(folder.absolute()):
            raise LaunchError(
                f"the list of labels '{given}' must lie in the photos' folder '{folder}'"
            )
        return path.relative_to(folder.absolute()).as_posix()
    lists = sorted(path.name for path in folder.iterdir() if path.suffix in LISTS)
    return lists[0] if len(lists) == 1 else ""


def show(context: LaunchContext, name: str) -> None:
    """Fetch the report, and print the recipe's lines for what was prepared."""
    uri = prepared_uri(context.recipe, context.target, name)
    path = context.out / "launch" / context.recipe.slug / name / REPORT
    if fetch(context, Photo(f"{uri}{REPORT}").s3_object(), path):
        context.print(f"report: {path}")
    context.print("prepared; the recipe's lines for a training with these photos:")
    context.print("  sagemaker:")
    context.print("    channels:")
    for channel in CHANNELS:
        context.print(f"      {channel}: {uri}{channel}/")
