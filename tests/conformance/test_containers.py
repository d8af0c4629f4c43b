"""What only a container can break, by the planted programs in images. Needs Docker.

`make verify` also looks at the other clauses that show in a container.
"""

import dataclasses
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from conformance.clauses import Result
from conformance.jobs import Job
from conformance.limits import ContractLimits
from conformance.runner import Wanted, examine, workplace
from conformance.server import Sample
from conformance.servings import Servings
from conformance.targets import Image
from tests.support.clause_results import broken, by_name, not_applicable
from tests.support.planted_images import built, planted

pytestmark = pytest.mark.docker
LIMITS = ContractLimits(
    train_stop_s=10,
    train_s=60,
    serve_stop_s=10,
    start_s=30,
    again_s=5,
    serverless_start_s=30,
    broken_s=5,
    load_s=1,
    recover_s=5,
    flat_requests=50,
)
METRICS = {"loss": "loss=([0-9.]+)"}
# the clauses that show in a container
TRAINED = (
    "starts_with_train",
    "host_name_is_not_trusted",
    "starts_by_container_entrypoint",
    "runs_without_root",
    "read_only_input",
    "trains_without_network",
    "small_shared_memory",
    "two_hosts",
    "sigterm_during_start",
    "writes_only_where_allowed",
)
SERVED = (
    "starts_with_serve",
    "answers_the_sample",
    "binds_to_the_port_it_is_given",
    "serverless_environment",
    "serves_without_network",
    "read_only_model_folder",
    "multi_model_invokes",
    "multi_model_out_of_memory",
    "restarts_crashed_workers",
    "sigterm_within_30_s",
    "many_visible_cores",
)
CLAUSES = {"training": TRAINED, "server": SERVED}
# those of them that no process can break
FAULTS = [
    ("training", "starts_by_container_entrypoint"),
    ("training", "runs_without_root"),
    ("server", "binds_to_the_port_it_is_given"),
    ("server", "serverless_environment"),
    ("server", "serves_without_network"),
    ("server", "multi_model_out_of_memory"),
    ("server", "many_visible_cores"),
]


def make_inputs(folder: Path) -> None:
    for name, text in {"train/data.txt": "1\n", "model/model.txt": "7\n"}.items():
        (folder / name).parent.mkdir()
        (folder / name).write_text(text)


def examined(tag: str, program: str, folder: Path, only: tuple[str, ...] = ()) -> dict[str, Result]:
    """A planted program's image under these clauses, or all that show in a container."""
    only = only or CLAUSES[program]
    with workplace() as work:
        image = Image(tag, work)
        job = Job({"train": folder / "train"}, {"epochs": "2"}, {"epochs": "2000"}, METRICS)
        sample = Sample(b"123", "text/plain", folder / "model")
        if program == "training":
            wanted = Wanted(train=image, job=job, only=only)
        else:
            wanted = Wanted(serve=image, sample=sample, only=only)
        return by_name(examine(wanted, LIMITS, work))


@dataclass(frozen=True)
class Offender:
    """The image of a planted program, and a folder with its inputs."""

    tag: str
    program: str
    folder: Path

    def examined(self, *only: str) -> dict[str, Result]:
        return examined(self.tag, self.program, self.folder, only)


@pytest.fixture(scope="module")
def offenders(tmp_path_factory, images) -> Iterator[dict[str, Offender]]:
    """All of them by their faults. They are built one by one: they have layers in common."""
    with ExitStack() as stack:
        found = {}
        for program, fault in FAULTS:
            folder = tmp_path_factory.mktemp(fault)
            make_inputs(folder)
            tag = stack.enter_context(built(planted(program, fault), folder))
            found[fault] = Offender(tag, program, folder)
        yield found


@pytest.fixture(scope="module")
def caught(offenders) -> Iterator[dict[str, Future]]:
    """Each offender under its own clause, a few side by side: they mostly wait for the engine."""
    with ThreadPoolExecutor(3) as pool:
        yield {
            fault: pool.submit(offender.examined, fault) for fault, offender in offenders.items()
        }


@pytest.mark.parametrize("program", CLAUSES)
def test_a_program_that_keeps_the_contract_keeps_every_clause(images, tmp_path, program):
    make_inputs(tmp_path)
    with built(planted(program, "none"), tmp_path) as tag:
        results = examined(tag, program, tmp_path)
    assert broken(results) == {}
    assert not_applicable(results) == {}


@pytest.mark.parametrize("program, fault", FAULTS)
def test_the_offender_is_caught(caught, program, fault):
    results = caught[fault].result()
    assert set(broken(results)) == {fault}, results


@pytest.mark.verify
@pytest.mark.parametrize("program, fault", FAULTS)
def test_no_clause_but_its_own_catches_the_offender(offenders, program, fault):
    results = offenders[fault].examined()
    assert set(broken(results)) == {fault}, broken(results)
    assert not_applicable(results) == {}


@pytest.fixture
def slow_to_accept(images, tmp_path) -> Iterator[str]:
    """The tag of an image whose server is slow to accept connections."""
    make_inputs(tmp_path)
    with built(planted("server", "connects_within_250_ms"), tmp_path) as tag:
        yield tag


def test_a_server_in_a_container_is_reached_by_its_own_address(slow_to_accept, tmp_path):
    with workplace() as work:
        image = Image(slow_to_accept, work)
        sample = Sample(b"123", "text/plain", tmp_path / "model")
        servings = Servings(image, sample, LIMITS, work)
        with servings.started(servings.model()) as server:
            assert server.wait_ready(30, 2)
            assert not server.address.startswith("http://127.")
            assert image.near
            assert server.pids()
            assert not image.sees(server.instance, os.getpid())


@pytest.mark.verify
def test_connections_are_the_server_s_own_and_not_the_engine_s_proxy_s(slow_to_accept, tmp_path):
    limits = dataclasses.replace(LIMITS, connect_s=0.9, ping_s=2.5, load_s=3, connections=6)
    with workplace() as work:
        wanted = Wanted(
            serve=Image(slow_to_accept, work),
            sample=Sample(b"123", "text/plain", tmp_path / "model"),
            only=("connects_within_250_ms",),
        )
        found = broken(by_name(examine(wanted, limits, work)))
    assert set(found) == {"connects_within_250_ms"}
