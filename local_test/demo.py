"""python -m local_test.demo [--data FOLDER]: from photos to a tested endpoint, as on SageMaker.

Every step runs on this machine.
"""

import artifact.host.starting  # noqa: F401  # before all else: it takes Ctrl-C

# isort: split
import json
import signal
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from artifact.host.os_errors import sentence_of
from artifact.text.names import printable
from recipes.command_line import CommandLine, interrupted
from recipes.errors import RecipeError
from recipes.own_training import check_hyperparameters
from recipes.recipe import Recipe, read_recipe
from recipes.terminal import print_pairs
from runtime.container_engine import (
    ENGINE_HELP,
    ContainerEngine,
    choose_container_engine,
    make_container_engine,
)
from runtime.errors import RunError
from runtime.own_images import serve
from runtime.probes import ping
from runtime.processes import REPOSITORY
from slipway.project import Results
from slipway.stages import Stage, Stages
from slipway.steps import (
    channels_of,
    described,
    epochs_of,
    learn,
    prepare,
    run_module,
    show_results,
    unfinished,
)

RECIPE = REPOSITORY / "recipes" / "demo.yaml"
CLIENTS = 4  # requests at the same time
ANSWER_S = 60  # InvokeEndpoint's limit


def main() -> int:
    parser = CommandLine(prog="demo", description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="folder of labelled photos (default: draw a set of stick figures)"
    )
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "out", help="where everything is written"
    )
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--engine", default="", help=ENGINE_HELP)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what runs is ended first
    try:
        recipe = read_recipe(options.recipe)
        check_hyperparameters(recipe)
        name = choose_container_engine(options.engine)
        print(f"demo: running with {described(name)}", flush=True)
        engine = make_container_engine(name)
        return demo(engine, options.data, options.out.absolute(), recipe)
    except (RunError, RecipeError, OSError) as error:
        print(f"demo: failed: {printable(sentence_of(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return interrupted("demo", "; the earlier results are as they were")


def demo(engine: ContainerEngine, data: Path | None, out: Path, recipe: Recipe) -> int:
    """Draw or take photos, prepare, train, serve, and ask for every test photo.

    0 when the endpoint answers as training measured. RunError when a step fails: what an earlier
    demo left in `out` is then as it was.
    """
    started = time.monotonic()
    with unfinished(out, keeps=("photos", "prepared")) as results:
        stages = Stages("demo", 3 if data else 4)
        photos = data or _draw(results.out / "photos", stages, results.logs)
        with stages.stage("prepare", results.logs) as stage:
            prepare(photos, results.prepared, recipe.prepare, stage)
        channels = channels_of(results.prepared)
        if "test" not in channels:
            raise RunError(
                f"'{photos}' leaves no photos to test on; "
                "give more photos per class, or a test folder beside train"
            )
        with stages.stage("train", results.logs, epochs_of(recipe)) as stage:
            measured = learn(engine, results, recipe.hyperparameters, channels, stage)
        with stages.stage("serve", results.logs) as stage:
            correct = _ask_endpoint(engine, results, stage)
        # Both are a whole number of photos through the same number, so that == is exact.
        served: float = sum(correct) / len(correct)
        trained = measured["test"]
    seconds = time.monotonic() - started
    show_results(Results(out), recipe.name)
    _show(Results(out), trained, served, seconds)
    if trained != served:
        print("demo: failed: the endpoint's accuracy differs from training's", file=sys.stderr)
    print(
        f"demo: photos={len(correct)} trained_accuracy={trained:.4f} "
        f"served_accuracy={served:.4f} seconds={seconds:.0f}",
        flush=True,
    )
    return int(trained != served)


def _show(results: Results, trained: float, served: float, seconds: float) -> None:
    print_pairs(
        {
            "accuracy in training": f"{trained:.4f}",
            "accuracy through HTTP": f"{served:.4f}",
            "time": f"{seconds:.0f} s",
            "training report": results.training_report,
            "photo report": results.photo_report,
            "all results": results.index,
            "model": results.archive,
            "logs": results.logs,
            "next, ask it yourself": "bin/slipway web",
            "next, your own photos": "bin/slipway init ~/my-project --photos FOLDER",
        }
    )


def _ask_endpoint(engine: ContainerEngine, results: Results, stage: Stage) -> list[bool]:
    """Serve the trained model and ask for all test photos. Whether each answer is correct."""
    photos = sorted((results.root / "input" / "data" / "test").glob("*/*"))
    # A line for each request: into its log, terminal or not.
    with serve(engine, results.model, on_line=stage.note) as url:
        print(
            f"demo: /ping answers {ping(url)}; asking /invocations for {len(photos)} photos",
            flush=True,
        )
        correct = ask(url, photos, stage)
    stage.said = f"{sum(correct)} of {len(correct)} test photos answered correctly over HTTP"
    return correct


def ask(url: str, photos: list[Path], stage: Stage) -> list[bool]:
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
        correct = []
        for answer in clients.map(is_correct, photos):
            correct.append(answer)
            stage.count("asking", len(correct), len(photos), "photos")
        return correct


def _draw(folder: Path, stages: Stages, logs: Path) -> Path:
    """The folder, with a set of stick figures drawn into it."""
    with stages.stage("draw", logs) as stage:
        run_module("local_test.stick_figures", str(folder), stage=stage)
        stage.said = f"{len(list(folder.glob('*/*')))} photos of stick figures in yoga poses"
    return folder


if __name__ == "__main__":
    sys.exit(main())
