"""The steps from photos to a model on this machine. The demo and a user's project share them."""

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from artifact.pages.project_index import refresh
from artifact.pages.project_pages import UNFINISHED
from artifact.text.json_text import read_json
from recipes.hyperparameters import parse
from recipes.preparation import Preparation
from recipes.recipe import Recipe
from runtime import docker, job_tree
from runtime.container_engine import ContainerEngine
from runtime.engine_facts import PROCESS
from runtime.errors import RunError
from runtime.instances import Instance
from runtime.opt_ml import lay_out, pack_model
from runtime.own_images import train
from slipway.project import Results
from slipway.stages import Stage

LOCK = ".lock"
LEFTOVER_S = 15  # a killed run's training may write for a moment more (runtime/reaper.py)
STEP_STOP_S = 10  # for a step other than the training to end
CHANNELS = ("train", "validation", "test")


def described(engine: str) -> str:
    """A container engine's name in words."""
    if engine == PROCESS:
        return "plain processes (no containers)"
    return f"the images in {engine.capitalize()}"


@contextmanager
def unfinished(out: Path, keeps: tuple[str, ...] = ()) -> Iterator[Results]:
    """A folder to write into. At the end its parts take the place of those in `out`.

    After a failure `out` is as it was. keeps: parts that the new run starts from, by hard links.
    """
    # Its own name: what an earlier run left at work, after a kill, must not write into this one.
    folder = out / f"{UNFINISHED}-{os.getpid()}"
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        _remove_leftovers(out)
        folder.mkdir()
        for name in keeps:
            if (out / name).is_dir():
                shutil.copytree(out / name, folder / name, copy_function=_link)
        try:
            yield Results(folder)
        except KeyboardInterrupt:  # after a failure it stays for a look at it, until the next run
            shutil.rmtree(folder, ignore_errors=True)
            raise
        for part in sorted(folder.iterdir()):
            _replace(part, out / part.name)
        folder.rmdir()


def prepare(photos: Path, prepared: Path, preparation: Preparation, stage: Stage) -> None:
    """Make the folder of prepared photos. RunError when that fails."""
    # In a process, as a user runs it: neither the demo nor a project imports prepare.
    options = preparation.options()
    run_module("prepare", str(photos.absolute()), str(prepared), *options, stage=stage)
    stage.said = ", ".join(
        f"{len(list(folder.glob('*/*')))} {name}" for name, folder in channels_of(prepared).items()
    )


def channels_of(prepared: Path) -> dict[str, Path]:
    """The prepared folders that hold photos, by channel."""
    channels = {}
    for name in CHANNELS:
        if any((prepared / name).glob("*/*")):
            channels[name] = prepared / name
    return channels


def learn(
    engine: ContainerEngine,
    results: Results,
    hyperparameters: Mapping[str, str],
    channels: Mapping[str, Path],
    stage: Stage,
) -> dict[str, float]:
    """One training, and its model packed as SageMaker packs it; its accuracies.

    RunError when it fails.
    """
    lay_out(results.root, hyperparameters, channels)
    train(engine, results.root, on_line=stage.on_line, environment=stage.environment)
    pack_model(results.root, results.archive)
    measured = measured_accuracy(results)
    stage.said = ", ".join(f"{part} accuracy {value:.4f}" for part, value in measured.items())
    return measured


def epochs_of(recipe: Recipe) -> int:
    """The epochs that a recipe's training may take, for a bar of its progress."""
    return parse(recipe.hyperparameters).epochs


def measured_accuracy(results: Results) -> dict[str, float]:
    """The accuracies that the training measured, by part of the photos. RunError without any."""
    try:
        # The container may have left a link in place of its model.json.
        with job_tree.open_inside(results.root, "model/model.json") as file:
            accuracy = read_json(file.read())["accuracy"]
        return {part: value for part, value in accuracy.items() if isinstance(value, float)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"the training left no accuracy in model/model.json ({error})") from error


def show_results(results: Results, recipe: str) -> None:
    """Bring the index up to date after a training by this recipe."""
    refresh(results.out, [results.training_report, results.photo_report], recipe)


def run_module(module: str, *arguments: str, stage: Stage | None = None) -> None:
    """A module of this checkout in a process of its own. RunError when it fails."""
    on_line = None
    environment = dict(os.environ)
    if stage:
        on_line = stage.on_line
        environment |= stage.environment
    command = [sys.executable, "-m", module, *arguments]
    step = Instance(command, on_line, environment=environment)
    try:
        step.wait()
    finally:
        step.stop(STEP_STOP_S)
    code = step.code()
    if code:
        raise RunError(f"{module} ended with code {code}")


def _remove_leftovers(out: Path) -> None:
    """Remove what earlier runs did not bring to their end, with their containers."""
    for leftover in out.glob(f"{UNFINISHED}-*"):
        if docker.answers():
            docker.remove(*docker.containers_with_mount(f"{leftover}/"))
        deadline = time.monotonic() + LEFTOVER_S
        while leftover.exists() and time.monotonic() < deadline:
            shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep other runs out of the folder. RunError when one is at work there."""
    with open(out / LOCK, "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(
                f"another run is at work in '{out}'; wait for it, or name another --out"
            ) from error
        yield


def _replace(source: Path, target: Path) -> None:
    """Put a file or folder in the place of another."""
    if target.is_dir():
        shutil.rmtree(target)
    os.replace(source, target)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
