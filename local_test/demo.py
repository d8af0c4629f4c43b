"""python -m local_test.demo [--data FOLDER]: from photos to a tested endpoint, as on SageMaker.

Every step runs on this machine.
"""

import argparse
import json
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from recipes.errors import RecipeError
from recipes.own_training import check_hyperparameters
from recipes.preparation import Preparation
from recipes.recipe import Recipe, read_recipe
from runtime.container_engine import (
    ContainerEngine,
    choose_container_engine,
    make_container_engine,
)
from runtime.errors import RunError
from runtime.opt_ml import lay_out, pack_model
from runtime.own_images import serve, train
from runtime.probes import ping
from runtime.processes import REPOSITORY

RECIPE = REPOSITORY / "recipes" / "demo.yaml"
CLIENTS = 4  # requests at the same time
ANSWER_S = 60  # InvokeEndpoint's limit
ENGINE_HELP = "docker or process (default: docker where an engine answers)"


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="folder of labelled photos (default: draw a set of stick figures)"
    )
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "out", help="where everything is written"
    )
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--engine", default="", help=ENGINE_HELP)
    options = parser.parse_args()
    try:
        recipe = read_recipe(options.recipe)
        check_hyperparameters(recipe)
        name = choose_container_engine(options.engine)
        print(f"demo: running with {described(name)}", flush=True)
        engine = make_container_engine(name)
        return demo(engine, options.data, options.out.absolute(), recipe)
    except (RunError, RecipeError, OSError) as error:
        print(f"demo: failed: {error}", file=sys.stderr)
        return 1


def described(engine: str) -> str:
    """A container engine's name in words."""
    if engine == "docker":
        return "the images in Docker"
    return "plain processes (no containers)"


def demo(engine: ContainerEngine, data: Path | None, out: Path, recipe: Recipe) -> int:
    """Draw or take photos, prepare, train, serve, and ask for every test photo.

    0 when the endpoint answers as training measured. RunError when a step fails.
    """
    started = time.monotonic()
    prepared = _prepare(data, out, recipe.prepare)
    root = out / "ml"
    channels = _channels(prepared, data or out / "photos")
    lay_out(root, recipe.hyperparameters, channels)
    train(engine, root)
    pack_model(root, out / "model.tar.gz")
    correct = _ask_endpoint(engine, root)
    # Both are a whole number of photos through the same number, so that == is exact.
    served: float = sum(correct) / len(correct)
    trained = _test_accuracy(root)
    seconds = time.monotonic() - started
    _print_table(
        {
            "accuracy in training": f"{trained:.4f}",
            "accuracy through HTTP": f"{served:.4f}",
            "time": f"{seconds:.0f} s",
            "training report": root / "output" / "data" / "report.html",
            "photo report": prepared / "report.html",
            "model": out / "model.tar.gz",
        }
    )
    if trained != served:
        print("demo: failed: the endpoint's accuracy differs from training's", file=sys.stderr)
    print(
        f"demo: photos={len(correct)} trained_accuracy={trained:.4f} "
        f"served_accuracy={served:.4f} seconds={seconds:.0f}",
        flush=True,
    )
    return int(trained != served)


def _ask_endpoint(engine: ContainerEngine, root: Path) -> list[bool]:
    """Serve the trained model and ask for all test photos. Whether each answer is correct."""
    test = root / "input" / "data" / "test"
    photos = sorted(test.glob("*/*"))
    with serve(engine, root / "model") as url:
        print(
            f"demo: /ping answers {ping(url)}; asking /invocations for {len(photos)} photos",
            flush=True,
        )
        return ask(url, photos)


def _test_accuracy(root: Path) -> float:
    """The accuracy on the test photos that training measured."""
    text = (root / "model" / "model.json").read_text(encoding="utf-8")
    model = json.loads(text)
    return float(model["accuracy"]["test"])


def _print_table(rows: dict[str, object]) -> None:
    for name, value in rows.items():
        print(f"  {name:22} {value}")


def ask(url: str, photos: list[Path]) -> list[bool]:
    """Whether the endpoint gives each photo the label that its folder is named after."""

    def is_correct(photo: Path) -> bool:
        request = urllib.request.Request(
            f"{url}/invocations", photo.read_bytes(), {"Content-Type": "image/jpeg"}
        )
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            [prediction] = json.load(answer)["predictions"]
            label: str = prediction["label"]
        return label == photo.parent.name

    with ThreadPoolExecutor(CLIENTS) as clients:
        return list(clients.map(is_correct, photos))


def _prepare(data: Path | None, out: Path, preparation: Preparation) -> Path:
    """The folder of prepared photos: the user's, or else drawn ones."""
    if data is None:
        data = out / "photos"
        _python("local_test.stick_figures", str(data))
    prepared = out / "prepared"
    # In a process, as a user runs it: the demo imports neither prepare nor train.
    folders = (str(data.absolute()), str(prepared))
    _python("prepare", *folders, *preparation.options())
    return prepared


def _channels(prepared: Path, data: Path) -> dict[str, Path]:
    """The prepared folders that hold photos, by channel. RunError without photos to test on."""
    channels = {}
    for name in ("train", "validation", "test"):
        if any((prepared / name).glob("*/*")):
            channels[name] = prepared / name
    if "test" not in channels:
        raise RunError(
            f"'{data}' leaves no photos to test on; "
            "give more photos per class, or a test folder beside train"
        )
    return channels


def _python(module: str, *arguments: str) -> None:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, check=False)
    if done.returncode:
        raise RunError(f"{module} ended with code {done.returncode}")


if __name__ == "__main__":
    sys.exit(main())
