"""Each training clause's offender is caught, and it alone: tests/support/planted_training.py with one fault at a time, as a process."""

import dataclasses
import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from conformance.catalog import of_kind
from conformance.clauses import TRAINING, Broken, Kept, NotApplicable, Result
from conformance.jobs import Job
from conformance.limits import ContractLimits
from conformance.runner import Wanted, examine, workplace
from conformance.targets import Program
from tests.support.jobs import REPOSITORY

PLANTED = REPOSITORY / "tests" / "support" / "planted_training.py"
LIMITS = ContractLimits(train_stop_s=3, train_s=30, trains_s=5, early_s=0.2)
OF_IMAGES = {
    "starts_by_container_entrypoint",
    "runs_without_root",
}  # with their offenders in test_conformance_images.py
OF_ROOT = {
    "read_only_input",
    "trains_without_network",
    "small_shared_memory",
    "failure_without_a_failure_file",
}
CLAUSES = [clause.name for clause in of_kind(TRAINING)]
FAULTS = [name for name in CLAUSES if name not in OF_IMAGES | {"metric_definitions"}]
METRICS = {"loss": "loss=([0-9.]+)"}


def job(folder, metrics=METRICS) -> Job:
    channel = folder / "train"
    channel.mkdir(exist_ok=True)
    (channel / "data.txt").write_text("1 2 3\n")
    return Job({"train": channel}, {"epochs": "2"}, {"epochs": "500"}, metrics)


def examined(fault: str, folder, metrics=METRICS) -> dict[str, Result]:
    deaf = (
        "env --ignore-signal=TERM " if fault == "sigterm_during_start" else ""
    )  # from its first instant on, as a container's process 1 is
    with workplace() as work:
        program = Program(f"{deaf}{{python}} -ISB {PLANTED} {fault}", work)
        return {
            result.clause.name: result
            for result in examine(
                Wanted(train=program, job=job(folder, metrics), side_by_side=3), LIMITS, work
            )
        }


def broken(results: dict[str, Result]) -> dict[str, str]:
    return {
        name: result.outcome.seen
        for name, result in results.items()
        if isinstance(result.outcome, Broken)
    }


@pytest.fixture(scope="module")
def offenders(tmp_path_factory) -> dict[str, Future]:
    """All offenders, a few side by side: they mostly wait."""
    folder = tmp_path_factory.mktemp("channel")
    with ThreadPoolExecutor(6) as pool:
        yield {fault: pool.submit(examined, fault, folder) for fault in ("none", *FAULTS)}


def test_there_are_thirty_clauses_and_each_says_what_it_requires():
    assert len(CLAUSES) >= 30
    assert all(
        clause.requirement.endswith((".", ")")) and len(clause.source) > 10 and len(clause.fix) > 10
        for clause in of_kind(TRAINING)
    )


def test_a_program_that_keeps_the_contract_keeps_every_clause(offenders):
    results = offenders["none"].result()
    assert broken(results) == {}
    others = {name for name, result in results.items() if isinstance(result.outcome, NotApplicable)}
    assert others == OF_IMAGES | (OF_ROOT if os.getuid() or sys.platform != "linux" else set()), {
        name: results[name].outcome for name in others
    }


@pytest.mark.parametrize("fault", FAULTS)
def test_the_offender_is_caught_and_nothing_else(offenders, fault):
    if fault in OF_ROOT and os.getuid():
        pytest.skip("closing a process in needs root")
    assert set(found := broken(offenders[fault].result())) == {fault}, found


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
        results = {result.clause.name: result for result in examine(wanted, LIMITS, work)}
    assert words in broken(results)["metric_definitions"] and set(broken(results)) == {
        "metric_definitions"
    }
    assert isinstance(results["starts_with_train"].outcome, Kept)


def test_a_job_that_nothing_can_fail_is_not_blamed_for_it(tmp_path):
    with workplace() as work:
        program = Program("""{python} -ISBc 'open("{root}/model/model.txt", "w")'""", work)
        wanted = Wanted(
            train=program,
            job=job(tmp_path),
            only=("starts_with_train", "failure_exit_code", "failure_file"),
        )
        outcomes = {
            result.clause.name: type(result.outcome) for result in examine(wanted, LIMITS, work)
        }
    assert outcomes == {
        "starts_with_train": Kept,
        "failure_exit_code": NotApplicable,
        "failure_file": NotApplicable,
    }


def test_a_job_that_ends_by_itself_is_not_taken_for_one_that_sigterm_ended(tmp_path):
    with workplace() as work:
        program = Program(
            """{python} -ISBc 'print("loss=1", open("{root}/model/model.txt", "w"), flush=True); import time; time.sleep(0.1)'""",
            work,
        )
        given = dataclasses.replace(job(tmp_path), long={})
        results = examine(
            Wanted(
                train=program,
                job=given,
                only=("starts_with_train", "sigterm_within_120_s", "sigterm_keeps_the_model"),
            ),
            LIMITS,
            work,
        )
    assert [type(result.outcome) for result in results] == [Kept, NotApplicable, NotApplicable]
