"""Where an endpoint's or a transform job's model comes from: an s3:// model.tar.gz."""

import gzip
import io
import tarfile
import tempfile
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from artifact.archives.tar_archive import ArchiveFile
from artifact.archives.unpack import MODEL_BOUNDS, bounded_members
from launch.answers import Photo
from launch.aws import Response
from launch.context import LaunchContext
from launch.download import fetch
from launch.errors import LaunchError
from launch.jobs import best_trial, chosen, describe_or_none
from launch.recipe import Recipe
from launch.requests_training import model_data
from launch.upload import LARGEST, File, channel_below, sha256_of
from recipes.command_line import RECIPE

CODE = "code"  # in the artifact, and beside the recipe
HOOKS = "hooks.py"


@dataclass(frozen=True)
class Source:
    """A model's s3:// URI. Where a training has made it: that job's name and last metrics."""

    uri: str
    job: str = ""
    metrics: dict[str, float] = field(default_factory=dict)


def model_source(context: LaunchContext) -> str:
    """s3:// of the model.tar.gz that `source_of` finds."""
    return source_of(context).uri


def source_of(context: LaunchContext) -> Source:
    """The model of --model, brought to S3 if it is a file, or a training's model.

    With `endpoint: hooks: true` it gets the code/ folder beside the recipe.
    """
    source = _source(context)
    if context.recipe.sagemaker.endpoint.hooks:
        return replace(source, uri=_with_hooks(context, source.uri))
    return source


def _with_hooks(context: LaunchContext, source: str) -> str:
    folder = code_folder(context.recipe)
    if not (folder / HOOKS).is_file():
        raise LaunchError(f"endpoint.hooks is true, and there is no '{folder / HOOKS}'; write it")
    if context.dry:
        context.print(f"model: {source} with the programs in '{folder}'")
        return source
    return _with_code(context, source, folder)


def code_folder(recipe: Recipe) -> Path:
    """Where the recipe's hooks lie."""
    return (recipe.path or RECIPE).parent / CODE


def _with_code(context: LaunchContext, source: str, folder: Path) -> str:
    """A copy of the archive that holds the folder's programs as its code/; its s3:// URI."""
    with tempfile.TemporaryDirectory(prefix="slipway-") as temporary:
        archive = Path(temporary) / "plain.tar.gz"
        if not fetch(context, Photo(source).s3_object(), archive):
            raise LaunchError(f"there is no {source}")
        complete = Path(temporary) / "model.tar.gz"
        try:
            add_code(archive, folder, complete)
        except (gzip.BadGzipFile, EOFError, zlib.error, tarfile.TarError, ValueError) as error:
            raise LaunchError(f"{source} is no whole tar archive in gzip ({error})") from error
        return bring(context, complete)


def add_code(archive: Path, folder: Path, target: Path) -> None:
    """Write the archive anew, with the *.py files of a folder as its code/.

    The same files give the same bytes. Raises ValueError for an archive beyond a model's bounds.
    """
    with (
        ArchiveFile(archive) as old,
        open(target, "wb") as file,
        gzip.GzipFile("", "wb", 1, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as new,
    ):
        for member in bounded_members(old, MODEL_BOUNDS):
            if member.name.removeprefix("./").split("/")[0] != CODE:
                new.addfile(member, old.contents(member) if member.isreg() else None)
        for path in sorted(folder.glob("*.py")):
            member = tarfile.TarInfo(f"{CODE}/{path.name}")
            content = path.read_bytes()
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))


def _source(context: LaunchContext) -> Source:
    given = context.options.model
    if given.startswith("s3://"):
        return Source(str(given))
    if given:
        return Source(bring(context, Path(given)))
    if context.options.best:
        job, _ = best_trial(context)
    else:
        job = chosen(context, "training").name
    if context.dry:
        return Source(model_data(context.recipe, context.location, job), job)
    job, answer = described(context, job)
    if answer is None:
        raise LaunchError(
            f"the training job {job} does not exist on SageMaker; "
            "name one with --job, or a model with --model"
        )
    status = answer["TrainingJobStatus"]
    # A stopped training has saved its best model so far.
    if status not in ("Completed", "Stopped"):
        raise LaunchError(f"the training {job} is {status}; it has no model to deploy")
    found = answer.get("FinalMetricDataList", [])
    metrics = {metric["MetricName"]: float(metric["Value"]) for metric in found}
    return Source(str(answer["ModelArtifacts"]["S3ModelArtifacts"]), job, metrics)


def described(context: LaunchContext, job: str) -> tuple[str, Response | None]:
    """A training and what SageMaker says of it; where it is not there, the latest that is.

    A command that was killed before its request has noted a job that never came. A job that the
    user has named is never another one.
    """
    answer = describe_or_none(context, "training", job)
    if context.options.job or context.options.best:
        return job, answer
    for entry in reversed(context.state.all("training")):
        if answer is not None:
            break
        job = entry.name
        answer = describe_or_none(context, "training", job)
    return job, answer


def bring(context: LaunchContext, path: Path) -> str:
    """Put a model.tar.gz of this machine into S3, under its own checksum; its s3:// URI."""
    if not path.is_file() or not path.name.endswith(".tar.gz"):
        raise LaunchError(f"'{path}' is not a model.tar.gz")
    file = File("model.tar.gz", path, path.stat().st_size, sha256_of(path))
    if file.size > LARGEST:
        raise LaunchError(f"'{path}' has more than 5 GB")
    channel = channel_below(context, f"models/{file.sha256[:16]}")
    if context.dry:
        context.ask("s3", "PutObject", **channel.put_request(file), Body=str(path))
    elif file.name not in channel.objects():
        channel.put(file)
    return f"s3://{channel.bucket}/{channel.key}{file.name}"
