"""This project's own images or programs: made ready, one training, and one endpoint."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from artifact.text.names import shell_word
from runtime import job_tree, mlflow_variables
from runtime.container_engine import ContainerEngine, RunSpec
from runtime.docker import ARCHITECTURE
from runtime.engine_facts import PROCESS
from runtime.errors import RunError
from runtime.probes import wait_ready
from runtime.processes import REPOSITORY
from runtime.timeouts import SERVE_STOP_S, TRAIN_STOP_S

OnLine = Callable[[str], None] | None


def make_ready(engine: str, image: str, module: str) -> None:
    """Build an image, or see that a process has its packages. RunError when it cannot run.

    image: such as `train`, of slipway-train. module: one that the process needs.
    """
    if engine != PROCESS:
        # it runs here, so it is built for the engine's own processor
        environment = {ARCHITECTURE: "engine", **os.environ}
        program = REPOSITORY / "docker" / "build.sh"
        done = subprocess.run([program, image], check=False, env=environment)
        if done.returncode:
            raise RunError(f"the image slipway-{image} could not be built; the reason stands above")
    elif find_spec(module) is None:
        raise RunError(
            f"without a container engine the environment needs '{module}', which it lacks; "
            f"type: make -C {shell_word(REPOSITORY)} environment"
        )


def train(
    engine: ContainerEngine,
    root: Path,
    image: str = "slipway-train",
    on_line: OnLine = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a training job on an /opt/ml tree. RunError when it fails.

    on_line: gets its output, which is shown otherwise.
    """
    options = tuple(mlflow_variables.options(engine.gateway))
    if engine.name == PROCESS:  # it has them
        options = ()
    variables = dict(environment or {})
    spec = RunSpec(image, "train", root, variables, host="algo-1", options=options)
    instance = engine.start(spec, on_line)
    try:
        instance.wait()
    except KeyboardInterrupt:
        print(
            "train: stops after its step, and saves its best epoch; Ctrl-C again does not wait",
            file=sys.stderr,
            flush=True,
        )
        raise
    finally:
        instance.stop(TRAIN_STOP_S)
    code = instance.code()
    if code:
        reason = job_tree.failure(root) or "it left no reason in output/failure"
        raise RunError(f"the training ended with code {code}: {reason}")


@contextmanager
def serve(
    engine: ContainerEngine, model: Path, image: str = "slipway-serve", on_line: OnLine = None
) -> Iterator[str]:
    """The URL of a running, ready endpoint over a model folder. RunError when it does not start.

    on_line: gets its output, which is shown otherwise.
    """
    instance = engine.start(RunSpec(image, "serve", model), on_line)
    try:
        wait_ready(instance.ready, instance.code)
        url = instance.url()
        assert url is not None  # a ready instance has answered there
        yield url
    finally:
        instance.stop(SERVE_STOP_S)
