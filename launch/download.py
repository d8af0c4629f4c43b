"""launch report: download what a job left, unpack it, and build the reports that it asks for."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from artifact.unpack import extract
from launch.context import LaunchContext
from launch.errors import LaunchError, is_missing
from launch.invoke import Photo
from launch.jobs import FINE, chosen
from launch.requests_training import bucket, model_data, prefix

DOWNLOADS = 8
WATCHED = (
    "debug-output",
    "profiler-output",
    "rule-output",
)  # where Debugger writes, below a job's folder


def report(context: LaunchContext) -> int:
    """Of a training: its model, what it wrote, and `python -m diagnose` over what was saved. Of a tuning job: its table of trials."""
    entry = chosen(context, "training", "tuning")
    folder = context.out / "launch" / context.recipe.slug / entry.name
    return (
        tuning_report(context, entry.name, folder)
        if entry.kind == "tuning"
        else training_report(context, entry.name, folder)
    )


def training_report(context: LaunchContext, name: str, folder: Path) -> int:
    """Download model.tar.gz, output.tar.gz and Debugger's prefixes; list the reports in them."""
    model = model_data(context.recipe, context.location, name)
    for archive, below in (
        (model, "model"),
        (model.replace("model.tar.gz", "output.tar.gz"), "output/data"),
    ):
        s3_object = Photo(archive).s3_object()
        if context.dry:
            context.ask("s3", "GetObject", **s3_object)
        elif fetch(context, s3_object, folder / Path(archive).name):
            unpack(folder / Path(archive).name, folder / below)
        else:
            context.print(f"report: there is no {archive}")
    watched = [
        path
        for part in WATCHED
        for path in fetch_prefix(
            context, f"{prefix(context.recipe)}/output/{name}/{part}/", folder / "output" / part
        )
    ]
    if context.dry:
        return FINE
    code = (
        diagnose(context, folder / "output")
        if watched
        or (folder / "output/data/tensors").is_dir()
        or (folder / "output/data/profiler").is_dir()
        else FINE
    )
    for path in sorted(folder.rglob("*report.html")):
        context.print(f"report: {path}")
    accuracy = folder / "model/model.json"
    if accuracy.is_file():
        context.print(
            f"report: measured through the artifact: {json.loads(accuracy.read_text(encoding='utf-8')).get('accuracy')}"
        )
    return code


def diagnose(context: LaunchContext, output: Path) -> int:
    """`python -m diagnose` on what was saved; 0 whether or not a rule fired."""
    code = subprocess.run([sys.executable, "-m", "diagnose", str(output)], check=False).returncode
    if code not in (0, 3):
        context.print(f"report: `python -m diagnose {output}` ended with code {code}")
    return code if code not in (0, 3) else FINE


def fetch(context: LaunchContext, s3_object: dict, path: Path) -> bool:
    """Download an object, whole or not at all; False where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        with open(part, "wb") as file:
            shutil.copyfileobj(context.client("s3").get_object(**s3_object)["Body"], file, 1 << 20)
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
    pages = context.client("s3").get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=key)
    keys = [
        entry["Key"]
        for page in pages
        for entry in page.get("Contents", [])
        if not entry["Key"].endswith("/")
    ]
    paths = [folder / one.removeprefix(key) for one in keys]
    for path in paths:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise LaunchError(f"S3 holds an object whose name leads out of its folder: '{path}'")
    with ThreadPoolExecutor(DOWNLOADS) as readers:
        list(
            readers.map(
                lambda pair: fetch(context, {"Bucket": name, "Key": pair[0]}, pair[1]),
                zip(keys, paths, strict=True),
            )
        )
    return paths


def unpack(archive: Path, folder: Path) -> None:
    """An archive's ordinary files, none outside the folder. LaunchError when it is none."""
    try:
        extract(archive, folder, strict=False)
    except ValueError as error:
        raise LaunchError(f"'{archive}' cannot be unpacked ({error})") from error


def tuning_report(context: LaunchContext, name: str, folder: Path) -> int:
    """The search's table, and its page and results in the form that `tune` has for its own; with the searches that it starts from."""
    from tune.managed import ManagedError, read_managed
    from tune.page import write_page
    from tune.results import write_results
    from tune.table import table

    if context.dry:
        context.ask(
            "sagemaker", "DescribeHyperParameterTuningJob", HyperParameterTuningJobName=name
        )
        context.ask(
            "sagemaker",
            "ListTrainingJobsForHyperParameterTuningJob",
            HyperParameterTuningJobName=name,
        )
        return FINE
    try:
        jobs = read_managed(name, context.client("sagemaker"), logs=context.client("logs"))
    except ManagedError as error:
        raise LaunchError(str(error)) from error
    folder.mkdir(parents=True, exist_ok=True)
    write_results(folder / "results.json", jobs)
    context.print(table(jobs))
    try:
        write_page(folder / "report.html", jobs)
        context.print(f"report: {folder / 'report.html'}")
    except ModuleNotFoundError as error:  # an environment of `make demo` alone
        context.print(
            f"report: {folder / 'results.json'}; its page needs {error.name}, which `make environment` installs"
        )
    return FINE
