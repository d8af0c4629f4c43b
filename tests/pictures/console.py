"""The picture of local SageMaker's console: a training that prints what another has printed."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from launch.requests_training import MEASURED, NUMBER
from local_sagemaker import folders
from local_sagemaker.job_ends import CLOSING
from local_sagemaker.jobs import training
from local_sagemaker.jobs.training_run import KIND
from local_sagemaker.platform import Platform
from recipes.recipe import read_recipe
from tests.support.browser import Browser
from tests.support.consoles import console_of, served
from tests.support.jobs import REPOSITORY
from tests.support.sagemakers import training_request, until
from tests.support.shell_engine import ShellEngine

NAME = "yoga-poses-1"
END_S = 60
# The epochs come one after the other, so that the charts have a time axis. Between two of them it
# computes, and it holds some memory: what a training does to a machine.
WORK = """
import re, sys, time
kept = bytearray(b"1") * 900_000_000
for line in open(sys.argv[1]):
    if not re.match("(epoch|network|photos|test)[:=]", line):
        continue
    print(line, end="", flush=True)
    busy = time.monotonic() + 0.3
    while time.monotonic() < busy:
        pass
    time.sleep(0.1)
time.sleep(600)
"""


@contextmanager
def training_shown(browser: Browser, log: Path, folder: Path, width: int) -> Iterator[None]:
    """The page of a training whose log is another's, once all of it has come."""
    folders.allow([folder])
    platform = Platform(folder / "sagemaker", "process")
    command = shlex.join([sys.executable, "-c", WORK, str(log)])
    platform.container_engine = ShellEngine(f"exec {command}")
    training.create(platform, _request(folder), "eu-west-1")
    last = [line for line in log.read_text().splitlines() if line.startswith("epoch=")][-1]
    logs = platform.folder / "logs"
    until(lambda: any(last in path.read_text() for path in logs.rglob("*.log")), END_S)
    console = console_of(platform)
    with served(console) as url:
        browser.open(url + console.link(), width=width)
        browser.until("document.getElementById('lists') !== null")
        browser.open(f"{url}/console/training-jobs/{NAME}", width=width)
        yield
    platform.runner(KIND, NAME).halt(CLOSING)


def _request(folder: Path) -> dict[str, Any]:
    """What `launch train` asks for, without the photos, which nothing reads here."""
    request = training_request(NAME) | {
        "HyperParameters": read_recipe(REPOSITORY / "recipes" / "demo.yaml").hyperparameters,
        "InputDataConfig": [],
        "OutputDataConfig": {"S3OutputPath": f"file://{folder}/out"},
    }
    definitions = [{"Name": name, "Regex": f"{name}={NUMBER}"} for name in MEASURED]
    request["AlgorithmSpecification"]["MetricDefinitions"] = definitions
    return request
