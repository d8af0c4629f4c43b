"""The command report: downloads and unpacks a job's output, and builds the reports about it."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from artifact.archives.unpack import OUTPUT_BOUNDS, extract
from artifact.description_values import is_share
from artifact.model import DESCRIPTION_BYTES
from artifact.text.json_text import read_json
from launch.answers import Photo
from launch.aws import Request
from launch.bucket_owners import check_bucket
from launch.context import LaunchContext, to_stderr
from launch.errors import LaunchError, is_missing
from launch.jobs import FINE, chosen
from launch.requests_training import bucket, model_data, prefix
from launch.threads import threads

if TYPE_CHECKING:
    from tune.results import TuningJob

# Downloads at the same time.
DOWNLOADS = 8
# Debugger's folders, below a job's folder.
DEBUGGER_FOLDERS = ("debug-output", "profiler-output", "rule-output")
# Our own training's folders, in its output.
OWN_FOLDERS = ("data/tensors", "data/profiler")
# `python -m diagnose` ends with 3 when a rule fired; that is a finding, not a failure.
DIAGNOSED = (0, 3)


def report(context: LaunchContext) -> int:
    """Report on the latest training or tuning job, or on the one of --job.

    Of a training: its model, its output, and `python -m diagnose` over the saved tensors.
    Of a tuning job: its table of trials.
    """
    entry = chosen(context, "training", "tuning")
    check_bucket(context, bucket(context.recipe, context.location))
    folder = context.out / "launch" / context.recipe.slug / entry.name
    if entry.kind == "tuning":
        return tuning_report(context, entry.name, folder)
    return training_report(context, entry.name, folder)


def training_report(context: LaunchContext, name: str, folder: Path) -> int:
    """Download model.tar.gz, output.tar.gz and Debugger's prefixes; list the reports in them."""
    print_line = context.print
    if context.options.json:
        context = replace(context, print=to_stderr)
    model = model_data(context.recipe, context.location, name)
    output = model.replace("model.tar.gz", "output.tar.gz")
    fetch_archive(context, model, folder, "model")
    fetch_archive(context, output, folder, "output/data")
    watched = []
    for part in DEBUGGER_FOLDERS:
        key = f"{prefix(context.recipe)}/output/{name}/{part}/"
        watched += fetch_prefix(context, key, folder / "output" / part)
    if context.dry:
        return FINE
    code = FINE
    if watched or any((folder / "output" / own).is_dir() for own in OWN_FOLDERS):
        code = diagnose(context, folder / "output")
    pages = sorted(folder.rglob("*report.html"))
    show_pages(context, pages)
    accuracy = measured(folder / "model/model.json")
    if context.options.json:
        words = {"kind": "training", "name": name, "folder": str(folder)}
        pages_there = [str(page) for page in pages]
        print_line(json.dumps({**words, "reports": pages_there, "accuracy": accuracy}))
        return code
    for page in pages:
        context.print(f"report: {page}")
    if accuracy:
        context.print("report: measured through the artifact:")
        for channel, share in accuracy.items():
            context.print(f"  {channel:12} {share:.4f}")
    return code


def measured(description: Path) -> dict[str, float]:
    """The accuracies of an artifact's description, by channel; none without the file."""
    if not description.is_file():
        return {}
    with description.open("rb") as file:
        content = file.read(DESCRIPTION_BYTES + 1)
    if len(content) > DESCRIPTION_BYTES:
        raise LaunchError(f"'{description}' has more than {DESCRIPTION_BYTES / 1e6:g} MB")
    try:
        return accuracies(content.decode("utf-8"))
    except ValueError as error:
        raise LaunchError(f"'{description}' is not readable JSON ({error})") from error


def accuracies(description: str) -> dict[str, float]:
    """The same of the text of a description; none in another program's. ValueError for no JSON."""
    document = read_json(description)
    found = document.get("accuracy") if isinstance(document, dict) else None
    if not isinstance(found, dict):
        return {}
    # a share may be null, and another program may mean something else by the word
    return {name: float(share) for name, share in found.items() if is_share(share)}


def fetch_archive(context: LaunchContext, archive: str, folder: Path, below: str) -> None:
    """Download an archive into a folder, and unpack it below that."""
    s3_object = Photo(archive).s3_object()
    path = folder / Path(archive).name
    if context.dry:
        context.ask("s3", "GetObject", **s3_object)
    elif fetch(context, s3_object, path):
        unpack(path, folder / below)
    else:
        context.print(f"report: {archive} does not exist")


def diagnose(context: LaunchContext, output: Path) -> int:
    """Run `python -m diagnose` on a job's output; FINE whether or not a rule fired."""
    # Standard output is for the JSON alone.
    stdout = sys.stderr if context.options.json else None
    command = [sys.executable, "-m", "diagnose", str(output)]
    code = subprocess.run(command, check=False, stdout=stdout).returncode
    if code in DIAGNOSED:
        return FINE
    context.print(f"report: `python -m diagnose {output}` ended with code {code}")
    return code


def fetch(context: LaunchContext, s3_object: Request, path: Path) -> bool:
    """Download an object, whole or not at all; False where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        with open(part, "wb") as file:
            body = context.client("s3").get_object(**s3_object)["Body"]
            shutil.copyfileobj(body, file, 1 << 20)  # in pieces of 1 MB
    except Exception as error:
        part.unlink(missing_ok=True)
        if is_missing(error):
            return False
        raise
    part.replace(path)
    return True


def fetch_prefix(context: LaunchContext, key: str, folder: Path) -> list[Path]:
    """Download all objects under a prefix into a folder; their paths."""
    name = bucket(context.recipe, context.location)
    if context.dry:
        context.ask("s3", "ListObjectsV2", Bucket=name, Prefix=key)
        return []
    paths: dict[str, Path] = {}
    pages = context.client("s3").get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=key)
    for page in pages:
        for entry in page.get("Contents", []):
            # A key with a slash at its end is a folder that S3's console made.
            if not entry["Key"].endswith("/"):
                paths[entry["Key"]] = folder / entry["Key"].removeprefix(key)
    for path in paths.values():
        if not path.resolve().is_relative_to(folder.resolve()):
            raise LaunchError(f"S3 holds an object whose name leads out of its folder: '{path}'")

    def fetch_one(object_key: str) -> None:
        fetch(context, {"Bucket": name, "Key": object_key}, paths[object_key])

    with threads(DOWNLOADS) as readers:
        # list() raises the error of a thread here.
        list(readers.map(fetch_one, paths))
    return list(paths.values())


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the ordinary files of an archive, none outside the folder. LaunchError."""
    try:
        extract(archive, folder, strict=False, bounds=OUTPUT_BOUNDS)
    except ValueError as error:
        raise LaunchError(f"'{archive}' cannot be unpacked ({error})") from error


def tuning_report(context: LaunchContext, name: str, folder: Path) -> int:
    """The search's table, page and results in `tune`'s own form, with those of its parents."""
    from tune.managed import read_managed
    from tune.managed_form import ManagedError
    from tune.page import write_page
    from tune.results import write_results
    from tune.terminal_table import print_table

    if context.dry:
        job = {"HyperParameterTuningJobName": name}
        context.ask("sagemaker", "DescribeHyperParameterTuningJob", **job)
        context.ask("sagemaker", "ListTrainingJobsForHyperParameterTuningJob", **job)
        return FINE
    try:
        jobs = read_managed(name, context.client("sagemaker"), logs=context.client("logs"))
    except ManagedError as error:
        raise LaunchError(str(error)) from error
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / "results.json"
    page = folder / "report.html"
    write_results(results, jobs)
    if context.options.json:
        found = best_of(jobs)
        context.print(
            json.dumps({"kind": "tuning", "name": name, "results": str(results), **found})
        )
    else:
        print_table(jobs, say=context.print)
    try:
        write_page(page, jobs)
        show_pages(context, [page])
        if not context.options.json:
            context.print(f"report: {page}")
    except ModuleNotFoundError as error:
        # The page needs optuna, which the environment of `make demo` alone does not have.
        context.print(
            f"report: {results}; its page needs {error.name}, which `make environment` installs"
        )
    return FINE


def show_pages(context: LaunchContext, pages: list[Path]) -> None:
    """List the pages in the results' index."""
    from artifact.pages.project_index import refresh  # loads numpy, which most commands do without

    refresh(context.out, pages, context.recipe.name)


def best_of(jobs: "tuple[TuningJob, ...]") -> dict[str, object]:
    """The last job's best trial, as fields of its JSON; none without a value."""
    best = jobs[-1].best()
    if best is None:
        return {}
    fields = {"name": best.name, "objective": best.objective}
    return {"best": {**fields, "hyperparameters": best.hyperparameters}}
