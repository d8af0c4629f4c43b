"""MLflow's variables of this environment, for a container: it reaches servers of this machine."""

import os
import re
from collections.abc import Callable, Mapping

URI = "MLFLOW_TRACKING_URI"
# What MLflow's client reads of them, and which run of a search a training belongs to
NAMES = (
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_RUN_NAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_USERNAME",
    "SLIPWAY_MLFLOW_PARENT",
)
LOOPBACK = re.compile(r"(https?://)(127\.0\.0\.1|localhost)(?=[:/]|$)")


def options(gateway: Callable[[], str | None], given: Mapping[str, str] | None = None) -> list[str]:
    """Options of `docker run`; none where no server is named.

    gateway: the address by which containers reach this machine.
    """
    variables = os.environ if given is None else given
    uri = variables.get(URI, "")
    if not uri:
        return []
    # Without their values, which may be secrets: Docker's client takes those from its environment.
    names = [f"--env={name}" for name in NAMES if variables.get(name)]
    return [f"--env={URI}={reachable(uri, gateway)}", *names]


def reachable(uri: str, gateway: Callable[[], str | None]) -> str:
    """A server's address as a container reaches it. The server must listen on that address."""
    if not LOOPBACK.match(uri):
        return uri
    return LOOPBACK.sub(rf"\g<1>{gateway() or '127.0.0.1'}", uri)
