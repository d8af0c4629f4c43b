"""What the tests of real clients share: local SageMaker on each engine, and the SDKs' Pythons."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime import docker
from tests.clients import environments
from tests.clients.place import Place, place
from tests.support.environments_made import not_made


@pytest.fixture(scope="package")
def on_process(tmp_path_factory, colours) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("process"), "process", colours.root) as found:
        yield found


@pytest.fixture(scope="package")
def on_docker(tmp_path_factory, colours) -> Iterator[Place]:
    if not docker.answers():
        pytest.skip("no container engine answers: the clients are not tested on one")
    with place(tmp_path_factory.mktemp("docker"), "docker", colours.root) as found:
        yield found


@pytest.fixture(scope="session")
def python_of():
    """A client's Python; the test is skipped where no index has its packages."""

    def found(client: str) -> Path:
        try:
            return environments.python_of(client)
        except environments.NotMade as error:
            not_made(client, str(error))
            raise

    return found
