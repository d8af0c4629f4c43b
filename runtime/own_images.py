"""One training, and one endpoint, of this project's images or programs, as the demo runs them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime import job_tree
from runtime.container_engine import ContainerEngine, RunSpec
from runtime.errors import RunError
from runtime.probes import wait_ready
from runtime.timeouts import SERVE_STOP_S, TRAIN_STOP_S


def train(engine: ContainerEngine, root: Path, image: str = "slipway-train") -> None:
    """Run a training job on an /opt/ml tree, its output shown. RunError when it fails."""
    instance = engine.start(RunSpec(image, "train", root, host="algo-1"), None)
    try:
        instance.wait()
    finally:
        instance.stop(TRAIN_STOP_S)
    code = instance.code()
    if code:
        reason = job_tree.failure(root) or "it left no reason in output/failure"
        raise RunError(f"the training ended with code {code}: {reason}")


@contextmanager
def serve(engine: ContainerEngine, model: Path, image: str = "slipway-serve") -> Iterator[str]:
    """The URL of a running, ready endpoint over a model folder. RunError when it does not start."""
    instance = engine.start(RunSpec(image, "serve", model), None)
    try:
        wait_ready(instance.ready, instance.code)
        url = instance.url()
        assert url is not None  # a ready instance has answered there
        yield url
    finally:
        instance.stop(SERVE_STOP_S)
