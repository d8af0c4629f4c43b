"""Each training clause catches its offender, and nothing else is broken.

The offenders are tests/support/planted_training.py with one fault at a time, as processes. All
clauses for all offenders are some thousand processes: `make verify` looks at them.
"""

import dataclasses
import shlex
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from conformance.catalog import of_kind
from conformance.clauses import TRAINING, Broken, Kept, NotApplicable, Result
from conformance.jobs import Job
from conformance.limits import ContractLimits
from conformance.runner import Wanted, examine, workplace
from conformance.targets import Program
from tests.support.clause_results import broken, by_name, not_applicable
from tests.support.jobs import REPOSITORY
from tests.support.offenders import (
    assert_all_kept,
    assert_says_what_it_requires,
    side_by_side,
    skip_unless_root,
)

pytestmark = pytest.mark.slow
PLANTED = shlex.quote(str(REPOSITORY / "tests" / "support" / "planted_training.py"))
LIMITS = ContractLimits(train_stop_s=3, train_s=30, trains_s=5, early_s=0.2)
# their offenders are in test_containers.py
OF_IMAGES = {"starts_by_container_entrypoint", "runs_without_root"}
# their offenders need a process that is closed in
OF_ROOT = {
    "read_only_input",
    "trains_without_network",
    "small_shared_memory",
    "failure_without_a_failure_file",
}
CLAUSES = [clause.name for clause in of_kind(TRAINING)]
# metric_definitions looks at the job, not at the program
FAULTS = [name for name in CLAUSES if name not in OF_IMAGES | {"metric_definitions"}]
METRICS = {"loss": "loss=([0-9.]+)"}
# leaves a model whatever it is given
CANNOT_FAIL = """{python} -ISBc 'open("{root}/model/model.txt", "w")'"""
# prints a metric and a model's file, and ends soon
SHORT = (
    """{python} -ISBc 'print("loss=1", open("{root}/model/model.txt", "w"), flush=True); """
    "import time; time.sleep(0.1)'"
)


def job(folder, metrics=METRICS) -> Job:
    channel = folder / "train"
    channel.mkdir(exist_ok=True)
    (channel / "data.txt").write_text("1 2 3\n")
    return Job({"train": channel}, {"epochs": "2"}, {"epochs": "500"}, metrics)


def examined(fault: str, folder, only: tuple[str, ...] = ()) -> dict[str, Result]:
    """The results of a planted program under all clauses, or under these."""
    command = f"{{python}} -ISB {PLANTED} {fault}"
    if fault == "sigterm_during_start":
        # from its first instant on, as a container's process 1
        command = f"env --ignore-signal=TERM {command}"
    with workplace() as work:
        program = Program(command, work)
        wanted = Wanted(train=program, job=job(folder), only=only, side_by_side=3)
        return by_name(examine(wanted, LIMITS, work))


@pytest.fixture(scope="module")
def caught(tmp_path_factory) -> Iterator[dict[str, Future]]:
    """Each offender under its own clause."""
    folder = tmp_path_factory.mktemp("channel")
    with side_by_side(lambda fault: examined(fault, folder, (fault,)), FAULTS) as results:
        yield results


@pytest.fixture(scope="module")
def examined_whole(tmp_path_factory) -> Iterator[dict[str, Future]]:
    """Each offender under all clauses."""
    folder = tmp_path_factory.mktemp("channel")
    with side_by_side(lambda fault: examined(fault, folder), FAULTS) as results:
        yield results


def test_there_are_thirty_clauses():
    assert len(CLAUSES) >= 30


@pytest.mark.parametrize("clause", of_kind(TRAINING), ids=lambda clause: clause.name)
def test_each_clause_says_what_it_requires(clause):
    assert_says_what_it_requires(clause)


def test_a_program_that_keeps_the_contract_keeps_every_clause(tmp_path):
    results = examined("none", tmp_path)
    assert_all_kept(results, OF_IMAGES, OF_ROOT)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_offender_is_caught(caught, fault):
    skip_unless_root(fault, OF_ROOT)
    results = caught[fault].result()
    assert set(broken(results)) == {fault}, results


@pytest.mark.verify
@pytest.mark.parametrize("fault", FAULTS)
def test_no_clause_but_its_own_catches_the_offender(examined_whole, fault):
    skip_unless_root(fault, OF_ROOT)
    found = broken(examined_whole[fault].result())
    assert set(found) == {fault}, found


@pytest.mark.parametrize(
    "metrics, words",
    [
        ({"loss": "loss=[0-9.]+"}, "the expression of loss has no group"),
        ({"l" * 256: "loss=([0-9.]+)"}, "has 256 characters"),
        ({f"m{number}": "loss=([0-9.]+)" for number in range(41)}, "there are 41"),
    ],
)
def test_metric_definitions_that_sagemaker_refuses(tmp_path, metrics, words):
    with workplace() as work:
        wanted = Wanted(
            train=Program(f"{{python}} -ISB {PLANTED} none", work),
            job=job(tmp_path, metrics),
            only=("metric_definitions", "metric_lines", "starts_with_train"),
        )
        results = by_name(examine(wanted, LIMITS, work))
    found = broken(results)
    assert set(found) == {"metric_definitions"}
    assert words in found["metric_definitions"]
    assert isinstance(results["starts_with_train"].outcome, Kept)


@pytest.mark.parametrize(
    "regex, outcome",
    [
        ("loss=([0-9.]+)", Kept("m 0.5")),  # the last number counts
        ("(loss)=|x([0-9]+)", Broken("'(loss)=|x([0-9]+)' of m finds no number in 2 lines")),
    ],
)
def test_the_numbers_of_a_metric(tmp_path, regex, outcome):
    with workplace() as work:
        wanted = Wanted(
            train=Program(f"{{python}} -ISB {PLANTED} none", work),
            job=job(tmp_path, {"m": regex}),
            only=("metric_lines",),
        )
        (result,) = examine(wanted, LIMITS, work)
    assert result.outcome == outcome


def test_a_job_that_nothing_can_fail_is_not_blamed_for_it(tmp_path):
    with workplace() as work:
        wanted = Wanted(
            train=Program(CANNOT_FAIL, work),
            job=job(tmp_path),
            only=("starts_with_train", "failure_exit_code", "failure_file"),
        )
        results = by_name(examine(wanted, LIMITS, work))
    assert isinstance(results["starts_with_train"].outcome, Kept)
    assert set(not_applicable(results)) == {"failure_exit_code", "failure_file"}


def test_a_job_that_ends_by_itself_is_not_taken_for_one_that_sigterm_ended(tmp_path):
    with workplace() as work:
        wanted = Wanted(
            train=Program(SHORT, work),
            job=dataclasses.replace(job(tmp_path), long={}),
            only=("starts_with_train", "sigterm_within_120_s", "sigterm_keeps_the_model"),
        )
        results = examine(wanted, LIMITS, work)
    assert [type(result.outcome) for result in results] == [Kept, NotApplicable, NotApplicable]
