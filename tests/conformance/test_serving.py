"""Each serving clause catches its offender, and nothing else is broken.

The offenders are tests/support/planted_server.py with one fault at a time, as processes. All
clauses for all offenders are some thousand processes: `make verify` looks at them.
"""

import dataclasses
import shlex
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from conformance.catalog import of_kind
from conformance.clauses import CLAUSES, SERVING, Broken, Kept, NotApplicable, Result, look
from conformance.limits import ContractLimits
from conformance.runner import Wanted, examine, workplace
from conformance.server import Sample
from conformance.servings import MULTI_MODEL, Servings, plain
from conformance.targets import Program
from runtime.instances import Instance
from tests.support.clause_results import broken, by_name
from tests.support.jobs import REPOSITORY
from tests.support.offenders import (
    assert_all_kept,
    assert_says_what_it_requires,
    side_by_side,
    skip_unless_root,
)

pytestmark = pytest.mark.slow
PLANTED = shlex.quote(str(REPOSITORY / "tests" / "support" / "planted_server.py"))
LIMITS = ContractLimits(
    serve_stop_s=4,
    start_s=20,
    serverless_start_s=20,
    ping_s=1,
    connect_s=0.9,
    invoke_s=3,
    broken_s=1,
    load_s=0.7,
    recover_s=4,
    notice_s=0.5,
    told_s=0.5,
    idle_s=0.4,
    reload_s=0.7,
    connections=6,
    flat_requests=10,
    flat_s=10,
)
LIMITS_OF = {
    # a connection that finds the queue full is asked for again after 1 s
    "connects_within_250_ms": dataclasses.replace(LIMITS, ping_s=2.5, load_s=3),
    # what each request leaves behind must add up
    "memory_is_flat": dataclasses.replace(LIMITS, flat_requests=60),
    "none": dataclasses.replace(LIMITS, flat_requests=60),
    "answer_within_6_mib": dataclasses.replace(LIMITS, flat_requests=30),
    "ready_within_8_minutes": dataclasses.replace(LIMITS, start_s=2),
    "serverless_first_answer": dataclasses.replace(LIMITS, serverless_start_s=2.4),
}
# their offenders are in test_containers.py
OF_IMAGES = {
    "binds_to_the_port_it_is_given",
    "serverless_environment",
    "serves_without_network",
    "multi_model_out_of_memory",
    "many_visible_cores",
}
# their offenders need a process that is closed in
OF_ROOT = {"read_only_model_folder"}
NAMES = [clause.name for clause in of_kind(SERVING)]
FAULTS = [name for name in NAMES if name not in OF_IMAGES]
ECHO = """
import http.server, os
class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
address = ("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"]))
http.server.HTTPServer(address, Echo).serve_forever()
"""


class CountingProgram(Program):
    """A program that notes its instances."""

    def __init__(self, command: str, home: Path) -> None:
        super().__init__(command, home)
        self.started: list[Instance] = []

    def start(self, *arguments, **options) -> Instance:
        instance = super().start(*arguments, **options)
        self.started.append(instance)
        return instance


def examined(fault: str, model: Path, only: tuple[str, ...] = ()) -> dict[str, Result]:
    """The results of a planted server under all clauses, or under these."""
    limits = LIMITS_OF.get(fault, LIMITS)
    with workplace() as work:
        wanted = Wanted(
            serve=Program(f"{{python}} -ISB {PLANTED} {fault}", work),
            sample=Sample(b"123456", "text/plain", model),
            only=only,
            side_by_side=4,
        )
        return by_name(examine(wanted, limits, work))


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    (folder / "model.txt").write_text("7\n")
    return folder


@pytest.fixture(scope="module")
def caught(model) -> Iterator[dict[str, Future]]:
    """Each offender under its own clause."""
    with side_by_side(lambda fault: examined(fault, model, (fault,)), FAULTS) as results:
        yield results


@pytest.fixture(scope="module")
def examined_whole(model) -> Iterator[dict[str, Future]]:
    """Each offender under all clauses."""
    with side_by_side(lambda fault: examined(fault, model), FAULTS) as results:
        yield results


def test_there_are_thirty_clauses():
    assert len(NAMES) >= 30


@pytest.mark.parametrize("clause", of_kind(SERVING), ids=lambda clause: clause.name)
def test_each_clause_says_what_it_requires(clause):
    assert_says_what_it_requires(clause)


def test_a_program_that_keeps_the_contract_keeps_every_clause(model):
    results = examined("none", model)
    assert_all_kept(results, OF_IMAGES, OF_ROOT)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_offender_is_caught(caught, fault):
    skip_unless_root(fault, OF_ROOT)
    results = caught[fault].result()
    assert set(broken(results)) == {fault}, results


@pytest.mark.verify
@pytest.mark.parametrize("fault", FAULTS)
def test_no_clause_but_its_own_catches_the_offender(examined_whole, model, fault):
    skip_unless_root(fault, OF_ROOT)
    found = broken(examined_whole[fault].result())
    more = set(found) - {fault}
    if more and all(CLAUSES[name].alone for name in more):
        # those measure times, which a busy machine spoils: once more
        found = broken(examined(fault, model))
    assert set(found) == {fault}, found


@pytest.mark.parametrize("fault", ["nan_model", "ping_is_honest"])
def test_a_server_that_starts_slowly_does_not_count_as_honest(tmp_path, model, fault):
    limits = dataclasses.replace(LIMITS, broken_s=0)
    program = Program(f"{{python}} -ISB {PLANTED} {fault}", tmp_path)
    servings = Servings(program, Sample(b"123456", "text/plain", model), limits, tmp_path)
    try:
        servings.once(plain).ready_s = limits.start_s  # as where it starts in minutes
        assert isinstance(look(CLAUSES[fault], servings, fault).outcome, Broken)
    finally:
        servings.close()
        program.sweep()


@pytest.mark.parametrize(
    "kind, outcome",
    [
        ("text/plain; charset=latin-1", NotApplicable),
        ("application/octet-stream", NotApplicable),
        ("text/csv", Broken),
    ],
)
def test_where_any_bytes_are_of_a_type_none_need_be_refused(tmp_path, kind, outcome):
    (tmp_path / "echo.py").write_text(ECHO)
    with workplace() as work:
        wanted = Wanted(
            serve=Program(f"{{python}} -ISB {tmp_path}/echo.py", work),
            sample=Sample(b"1", kind),
            only=("answers_the_sample", "unreadable_body"),
        )
        results = by_name(examine(wanted, LIMITS, work))
    assert isinstance(results["answers_the_sample"].outcome, Kept)
    assert isinstance(results["unreadable_body"].outcome, outcome)


def test_a_server_that_starts_without_models_never_is_blamed_once(model):
    limits = dataclasses.replace(LIMITS, again_s=1)
    with workplace() as work:
        program = Program(f"{{python}} -ISB {PLANTED} never_ready_for_many", work)
        program.labels = {MULTI_MODEL: "true"}  # as an image's
        wanted = Wanted(
            serve=program,
            sample=Sample(b"123456", "text/plain", model),
            only=tuple(name for name in NAMES if "multi_model" in name),
        )
        found = broken(by_name(examine(wanted, limits, work)))
    assert set(found) == {"multi_model_starts_empty"}, found


def test_an_interruption_ends_what_runs(model):
    seen = []

    def interrupt(result):
        seen.append(result)
        raise KeyboardInterrupt

    with workplace() as work:
        program = CountingProgram(f"{{python}} -ISB {PLANTED} none", work)
        sample = Sample(b"123456", "text/plain", model)
        wanted = Wanted(serve=program, sample=sample, side_by_side=1)
        with pytest.raises(KeyboardInterrupt):
            examine(wanted, LIMITS, work, interrupt)
    assert len(seen) == 1
    assert program.started
    assert all(instance.code() is not None for instance in program.started)
