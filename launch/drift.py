"""The command drift: what the endpoint sees now, compared with what its training saw."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artifact.archives.unpack import artifact_folder
from artifact.drift_reference import Reference, read_reference
from artifact.engines.head_inputs import HeadInputs
from artifact.model import ArtifactError, Description, MissingFile, read_description
from artifact.photos.decoder import decode_reduced
from artifact.photos.kinds import PhotoError
from artifact.photos.measures import MEASURES, photo_measures
from artifact.text.numbers import counted
from launch.answers import Photo
from launch.bucket_owners import check_bucket
from launch.captured import Captured, Captures
from launch.context import LaunchContext
from launch.deployed import deployed_model
from launch.download import fetch_archive, show_pages
from launch.drift_findings import FEWEST, Finding, Seen, findings
from launch.drift_page import Examples, Sample, small_picture, write_drift_page
from launch.errors import LaunchError
from launch.jobs import FINE
from launch.requests_training import bucket, prefix

MOVED = 3  # the exit code, as of `python -m diagnose` where a rule fires
WITHOUT_OPENVINO = "openvino is not installed here (`make environment` installs it)"


@dataclass
class Gathered:
    """The captured photos that could be used, and what is told of the others."""

    seen: Seen
    samples: list[Sample] = field(default_factory=list)
    passed_by: Counter[str] = field(default_factory=Counter)
    without_features: str = ""  # the reason; "" where there are features


def drift(context: LaunchContext) -> int:
    """Compare the photos that data capture kept with the training's, and write a page.

    3 where something has moved by more than chance, 0 where nothing has.
    """
    recipe = context.recipe
    name = bucket(recipe, context.location)
    check_bucket(context, name)
    key = f"{prefix(recipe)}/captured/{recipe.endpoint_name}/"
    folder = model_folder(context)
    if context.dry:
        context.ask("s3", "ListObjectsV2", Bucket=name, Prefix=key, Delimiter="/")
        return FINE
    description, reference = reference_of(folder)
    captures = Captures(context.client("s3"), name, key)
    newest = list(islice(captures.newest(), context.options.newest))
    gathered = gather(newest, folder, description, reference)
    gathered.passed_by += captures.passed_by
    count = len(gathered.samples)
    if count < FEWEST:
        raise LaunchError(too_few(context, count, gathered.passed_by, f"s3://{name}/{key}"))
    found = findings(reference, gathered.seen, description.classes)
    page = context.out / "launch" / recipe.slug / "drift" / "report.html"
    examples = Examples(folder, description, reference, gathered.seen, gathered.samples)
    notes = notes_of(gathered)
    write_drift_page(page, recipe.endpoint_name, found, examples, notes)
    show_pages(context, [page])
    say(context, found, count, page, notes)
    return MOVED if any(finding.moved for finding in found) else FINE


def too_few(context: LaunchContext, count: int, passed_by: Counter[str], where: str) -> str:
    """The sentence for captures that no test can take."""
    left_out = "".join(f"; {number} {why}" for why, number in passed_by.items())
    sentence = f"{count} captured photos lie below {where}{left_out}; drift needs {FEWEST}"
    if not context.recipe.sagemaker.endpoint.capture_percent:
        return f"{sentence}: set sagemaker.endpoint.capture_percent, and deploy again"
    return sentence


def model_folder(context: LaunchContext) -> Path:
    """The endpoint's artifact: --model, else the one that the endpoint was made of."""
    given = context.options.model
    if given and not given.startswith("s3://"):
        return artifact_folder(Path(given))
    source = given or deployed_model(context)
    if source.endswith("/"):
        raise LaunchError(
            f"the endpoint has the models of {source}; name the one that was asked by --model"
        )
    digest = hashlib.sha256(source.encode()).hexdigest()[:12]
    folder = context.out / "launch" / context.recipe.slug / "drift" / digest
    if not (folder / "model" / "model.json").is_file():
        check_bucket(context, Photo(source).s3_object()["Bucket"])
        fetch_archive(context, source, folder, "model")
    return folder / "model"


def reference_of(folder: Path) -> tuple[Description, Reference]:
    """The artifact's description and numbers. LaunchError for one without."""
    try:
        description = read_description(folder)
        return description, read_reference(folder, description)
    except MissingFile as error:
        raise LaunchError(
            f"{error.brief}; an older training, or a network of your own, has no numbers to "
            "compare with: train it again, and deploy that model"
        ) from error
    except ArtifactError as error:
        raise LaunchError(str(error)) from error


def gather(
    captured: list[Captured], folder: Path, description: Description, reference: Reference
) -> Gathered:
    """The numbers of the captured photos, as the reference has them of the training's."""
    head, reason = open_head(folder, reference)
    numbers = {name: place for place, name in enumerate(description.classes)}
    passed_by: Counter[str] = Counter()
    measures: list[NDArray[np.float32]] = [np.zeros((0, len(MEASURES)), np.float32)]
    rows: list[NDArray[np.float32]] = [np.zeros((0, reference.features.shape[1]), np.float32)]
    samples: list[Sample] = []
    sizing = description.preprocessing
    for one in captured:
        try:
            pixels = sizing.pixels(decode_reduced(one.photo, sizing.resize))[None]
        except PhotoError:
            passed_by["that cannot be decoded"] += 1
            continue
        measures.append(photo_measures(pixels))
        if head:
            rows.append(reference.along(head.run(pixels)))
        answer, probability = answer_of(one, numbers)
        samples.append(Sample(small_picture(pixels[0]), answer, probability, one.time))
    features = np.concatenate(rows)
    if not head:
        features = np.zeros((len(samples), 0), np.float32)
    known = [sample for sample in samples if sample.answer >= 0]
    seen = Seen(
        np.concatenate(measures),
        features,
        np.array([sample.answer for sample in known], np.int64),
        np.array([sample.probability for sample in known], np.float32),
    )
    return Gathered(seen, samples, passed_by, reason)


def open_head(folder: Path, reference: Reference) -> tuple[HeadInputs | None, str]:
    """What shows the network's features, or why there are none."""
    if not reference.features.size:
        return None, "the training kept none"
    try:
        return HeadInputs(folder), ""
    except ModuleNotFoundError:
        return None, WITHOUT_OPENVINO
    except ArtifactError as error:
        return None, str(error)


def answer_of(captured: Captured, numbers: dict[str, int]) -> tuple[int, float]:
    """The number of the answered class and its probability; -1 where neither is known."""
    number = numbers.get(str(captured.answer.get("label")), -1)
    probability = captured.answer.get("probability")
    if number < 0 or not isinstance(probability, int | float) or not 0 <= probability <= 1:
        return -1, 0.0
    return number, float(probability)


def notes_of(gathered: Gathered) -> list[str]:
    """What was left out, as sentences."""
    left_out = sorted(gathered.passed_by.items())
    notes = [f"Left out: {counted(number, 'capture')} {why}." for why, number in left_out]
    if gathered.without_features:
        notes.append(f"The network's features were not compared: {gathered.without_features}.")
    if len(gathered.seen.answers) < FEWEST:
        notes.append(
            "The answers were not compared: too few were captured whose classes the model has."
        )
    return notes


def say(
    context: LaunchContext, found: list[Finding], count: int, page: Path, notes: list[str]
) -> None:
    """The result for people, or for programs with --json."""
    if context.options.json:
        things = [
            {
                "name": one.name,
                "moved": one.moved,
                "p": one.p,
                "before": one.before,
                "now": one.now,
                "shift": one.shift,
            }
            for one in found
        ]
        moved = [one.name for one in found if one.moved]
        words = {"photos": count, "moved": moved, "page": str(page), "compared": things}
        context.print(json.dumps(words))
        return
    for one in found:
        word = "moved" if one.moved else "ok"
        context.print(f"{word:6} {one.name:12} {one.shift} (p {one.p:.4f})")
    for note in notes:
        context.print(f"drift: {note}")
    moved = [one.name for one in found if one.moved]
    context.print(f"drift: of {count} photos: {', '.join(moved) or 'nothing'} has moved")
    context.print(f"drift: {page}")
