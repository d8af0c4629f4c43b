"""python -m local_test.demo [--data FOLDER]: from photos to a tested endpoint on this machine, as SageMaker would do it."""

import argparse
import json
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from runtime.engines import REPOSITORY, Containers, EngineError, Processes, choose_engine, ping
from runtime.opt_ml import lay_out, pack_model

CLIENTS = 4


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="folder of labelled photos (default: draw a set of stick figures)"
    )
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "out", help="where everything is written"
    )
    parser.add_argument("--recipe", type=Path, default=REPOSITORY / "recipes" / "demo.yaml")
    parser.add_argument(
        "--engine", default="", help="docker or process (default: docker where an engine answers)"
    )
    options = parser.parse_args()
    try:
        engine = choose_engine(options.engine)
        print(
            f"demo: running with {'the images in Docker' if engine.name == 'docker' else 'plain processes (no containers)'}",
            flush=True,
        )
        return demo(
            engine,
            options.data,
            options.out.absolute(),
            yaml.safe_load(options.recipe.read_text(encoding="utf-8")),
        )
    except (EngineError, OSError) as error:
        print(f"demo: failed: {error}", file=sys.stderr)
        return 1


def demo(engine: Containers | Processes, data: Path | None, out: Path, recipe: dict) -> int:
    """Draw or take photos, prepare, train, serve, ask for every test photo; 0 when the endpoint answers as training measured."""
    started = time.monotonic()
    if data is None:
        data = out / "photos"
        _python("local_test.stick_figures", str(data))
    prepared, root = out / "prepared", out / "ml"
    _python("prepare", str(data.absolute()), str(prepared), *_options(recipe.get("prepare", {})))
    channels = {
        name: prepared / name
        for name in ("train", "validation", "test")
        if any((prepared / name).glob("*/*"))
    }
    if "test" not in channels:
        raise EngineError(
            f"'{data}' leaves no photos to test on; give more photos a class, or a test folder beside train"
        )
    lay_out(root, recipe["hyperparameters"], channels)
    engine.train(root)
    pack_model(root, out / "model.tar.gz")
    photos = sorted((root / "input" / "data" / "test").glob("*/*"))
    with engine.serve(root / "model") as url:
        print(
            f"demo: /ping answers {ping(url)}; asking /invocations for {len(photos)} photos",
            flush=True,
        )
        correct = ask(url, photos)
    trained = json.loads((root / "model" / "model.json").read_text(encoding="utf-8"))["accuracy"][
        "test"
    ]
    served = sum(correct) / len(correct)
    seconds = time.monotonic() - started
    for name, value in (
        ("accuracy in training", f"{trained:.4f}"),
        ("accuracy through HTTP", f"{served:.4f}"),
        ("time", f"{seconds:.0f} s"),
        ("training report", root / "output" / "data" / "report.html"),
        ("photo report", prepared / "report.html"),
        ("model", out / "model.tar.gz"),
    ):
        print(f"  {name:22} {value}")
    if trained != served:
        print(
            "demo: failed: the endpoint answers otherwise than training measured", file=sys.stderr
        )
    print(
        f"demo: photos={len(photos)} trained_accuracy={trained:.4f} served_accuracy={served:.4f} seconds={seconds:.0f}",
        flush=True,
    )
    return 0 if trained == served else 1


def ask(url: str, photos: list[Path]) -> list[bool]:
    """Whether the endpoint gives each photo the label that its folder is named after."""

    def answered(photo: Path) -> bool:
        request = urllib.request.Request(
            f"{url}/invocations", photo.read_bytes(), {"Content-Type": "image/jpeg"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["predictions"][0]["label"] == photo.parent.name

    with ThreadPoolExecutor(CLIENTS) as clients:
        return list(clients.map(answered, photos))


def _python(module: str, *arguments: str) -> None:
    code = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=REPOSITORY, check=False
    ).returncode
    if code:
        raise EngineError(f"{module} ended with code {code}")


def _options(values: dict) -> list[str]:
    return [
        word
        for name, value in values.items()
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]


if __name__ == "__main__":
    sys.exit(main())
