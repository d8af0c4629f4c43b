"""python -m tests.pictures [--keep]: make the pictures of docs/pictures from a demo.

It runs the demo as processes into out/pictures, and photographs its reports, its page and what it
printed by a headless Chromium.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jinja2
from PIL import Image

from runtime.instances import Instance
from runtime.ports import free_port
from runtime.probes import wait_ready
from tests.pictures.console import training_shown
from tests.pictures.sources import PICTURES, record
from tests.support.browser import Browser, browsing
from tests.support.jobs import REPOSITORY

WORK = REPOSITORY / "out" / "pictures"
LOG = WORK / "demo.log"
WIDTH = 1000  # pixels, of all pictures
REPORT_HEIGHT = 1080  # down to the end of the two charts
MARGIN = 16  # below the page's answer
COLUMNS = 112  # of the terminal
COLOURS = 255
STOP_S = 30
SICK = {  # hyperparameters of a training that learns nothing
    "model": "timm/test_resnet",
    "weights": "none",
    "trainable": "all",
    "image_size": "64",
    "epochs": "12",
    "optimizer": "sgd",
    "lr": "1e-14",
    "quantize": "false",
}
LEARNING = SICK | {"optimizer": "adamw", "lr": "0.003"}  # a training whose curves are shown
# What the terminal shows of the demo; `…` stands for what is left out.
SHOWN = re.compile(r"demo: |prepare: photos|photos: |network: |epoch=|test: | {2}\w|…$")
SHOWN_EPOCHS = ("epoch=1 ", "epoch=2 ", "epoch=19 ", "epoch=20 ")


def main() -> int:
    parser = argparse.ArgumentParser(prog="pictures", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="take the last run's demo")
    if not parser.parse_args().keep:
        run_demo()
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile, browsing(Path(profile)) as browser:
        photos(browser)
        report(browser)
        findings(browser)
        terminal(browser, Path(profile))
        page(browser)
        console(browser, Path(profile))
    record()
    for picture in sorted(PICTURES.glob("*.png")):
        print(f"pictures: {picture.relative_to(REPOSITORY)}: {picture.stat().st_size} bytes")
    return 0


def run_demo() -> None:
    """The demo in a process, as `make demo` runs it, with what it prints in a file."""
    WORK.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "local_test.demo", "--engine=process", f"--out={WORK / 'out'}"]
    with LOG.open("w", encoding="utf-8") as log:
        subprocess.run(command, cwd=REPOSITORY, stdout=log, stderr=subprocess.STDOUT, check=True)


def photos(browser: Browser) -> None:
    """Some of the photos, as the report of `prepare` shows them."""
    browser.open((WORK / "out/prepared/report.html").as_uri(), width=WIDTH)
    # Those below the window would be loaded only when it is scrolled.
    browser.run("document.querySelectorAll('img').forEach(each => each.loading = 'eager')")
    browser.until("[...document.images].every(each => each.complete && each.naturalWidth)")
    sheet = "document.querySelector('.sheet').getBoundingClientRect()"
    top = browser.run(f"Math.floor({sheet}.top + scrollY)")
    height = browser.run(f"Math.ceil({sheet}.height)")
    photograph(browser, "photos.png", int(str(top)), int(str(height)))


def report(browser: Browser) -> None:
    """The head of the training's report: its figures and curves."""
    browser.open((WORK / "out/ml/output/data/report.html").as_uri(), width=WIDTH)
    photograph(browser, "report.png", 0, REPORT_HEIGHT)


def findings(browser: Browser) -> None:
    """The head of the findings of a training that learns nothing."""
    root = WORK / "sick"
    diagnosed(root, SICK)
    browser.open((root / "output/findings.html").as_uri(), width=WIDTH)
    photograph(browser, "findings.png", 0, REPORT_HEIGHT)


def diagnosed(root: Path, hyperparameters: dict[str, str]) -> str:
    """A training on the demo's photos that is diagnosed, in a tree of its own; what it printed."""
    shutil.rmtree(root, ignore_errors=True)
    settings = root.with_suffix(".json")
    settings.write_text(json.dumps(hyperparameters), encoding="utf-8")
    data = WORK / "out/prepared"
    command = [sys.executable, "-m", "diagnose", str(root), f"--data={data}"]
    # Its code says whether rules fired.
    done = subprocess.run(
        [*command, f"--hyperparameters={settings}"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.stdout


def terminal(browser: Browser, folder: Path) -> None:
    """What the demo printed, shortened."""
    template = Path(__file__).with_name("terminal.html.j2").read_text(encoding="utf-8")
    shown = jinja2.Template(template, autoescape=True).render(lines=shortened(LOG.read_text()))
    file = folder / "terminal.html"
    file.write_text(shown, encoding="utf-8")
    browser.open(file.as_uri(), width=WIDTH)
    height = browser.run("Math.ceil(document.body.getBoundingClientRect().height)")
    photograph(browser, "terminal.png", 0, int(str(height)))


def page(browser: Browser) -> None:
    """The page with its answer for a test photo."""
    photo = sorted((WORK / "out/prepared/test/warrior").iterdir())[0]
    with web_server() as url:
        browser.open(url, width=WIDTH)
        browser.drop(photo)
        browser.until("document.getElementById('answer').innerText")
        # The bars grow for a moment, and the photo is decoded.
        browser.until("document.getAnimations().every(each => each.playState === 'finished')")
        browser.until("document.getElementById('photo').complete")
        card = "document.getElementById('result').getBoundingClientRect()"
        height = browser.run(f"Math.ceil({card}.bottom + scrollY)")
        photograph(browser, "page.png", 0, int(str(height)) + MARGIN)


def console(browser: Browser, folder: Path) -> None:
    """The page of a training on local SageMaker, down to the end of its log."""
    log = folder / "learning.log"
    log.write_text(diagnosed(WORK / "learning", LEARNING), encoding="utf-8")
    with training_shown(browser, log, folder, WIDTH):
        end = "document.getElementById('logs').getBoundingClientRect().bottom"
        height = browser.run(f"Math.ceil({end} + scrollY)")
        photograph(browser, "console.png", 0, int(str(height)) + MARGIN)


@contextmanager
def web_server() -> Iterator[str]:
    """`slipway web` in front of the demo's model; its address."""
    port = free_port()
    command = [sys.executable, "-m", "slipway", "web", "--engine=process", f"--port={port}"]
    # A project's folder is the current one; the packages are this checkout's.
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    server = Instance(command, None, port, environment, folder=WORK)
    try:
        wait_ready(server.ready, server.code)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.stop(STOP_S)


def shortened(text: str) -> list[str]:
    """The demo's lines that say most, with what is left out marked and long lines cut."""
    lines = ["$ make demo"]
    for line in text.splitlines():
        known = SHOWN.match(line)
        epoch = line.startswith("epoch=") and not line.startswith(SHOWN_EPOCHS)
        if known and not epoch:
            lines.append(_cut(line))
        elif lines[-1] != "…":
            lines.append("…")
    return lines


def photograph(browser: Browser, name: str, top: int, height: int) -> None:
    """A part of the page as a PNG of few colours."""
    whole = WORK / name
    browser.photograph(whole)
    with Image.open(whole) as image:
        part = image.convert("RGB").crop((0, top, WIDTH, min(top + height, image.height)))
    # Rare colours stay, such as that of one dot in a chart.
    kept = part.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    kept.save(PICTURES / name, optimize=True)


def _cut(line: str) -> str:
    """A line with paths as a reader sees them in the checkout, of at most COLUMNS."""
    plain = re.sub(rf"{re.escape(str(WORK))}/(out/)(unfinished-\d+/)?", r"\1", line)
    return plain if len(plain) <= COLUMNS else f"{plain[: COLUMNS - 1]}…"


if __name__ == "__main__":
    sys.exit(main())
