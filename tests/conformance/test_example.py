"""The plain AWS example container under the clauses: its results show the faults users know.

And how results are printed and written, and how options are refused.
"""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from conformance import results
from conformance.__main__ import main
from conformance.limits import ContractLimits
from conformance.runner import Wanted, examine, workplace
from conformance.server import Sample
from conformance.targets import Program
from tests.support.clause_results import broken, by_name
from tests.support.jobs import REPOSITORY

SUPPORT = REPOSITORY / "tests" / "support"
EXAMPLE = SUPPORT / "aws_example.py"
PLANTED = SUPPORT / "planted_server.py"
LIMITS = ContractLimits(
    serve_stop_s=5,
    start_s=20,
    ping_s=1,
    connect_s=0.9,
    invoke_s=10,
    broken_s=2,
    load_s=1.5,
    recover_s=4,
    connections=8,
    flat_requests=10,
    flat_s=10,
)
KNOWN_FAULTS = {
    "ping_is_empty",  # it answers a line's end
    "ping_within_2_s_from_the_start",  # the first one loads the model
    "ping_under_load",  # it waits behind predictions
    "ping_while_bodies_arrive",  # and behind slow clients, without nginx
    "content_type_with_parameters",
    "content_type_in_capitals",  # the header is compared as a text
    "empty_body",  # no lines, no predictions, no error
    "unreadable_body",  # an exception: 500
    "log_is_free_of_payloads",  # the exception's words, with the client's in them, are logged
    "sigterm_answers_what_is_under_way",  # the first process leaves before gunicorn has ended
}
# what the planted server breaks, keeps and cannot show
ONLY = "starts_with_serve,ping_is_empty,wrong_method,binds_to_the_port_it_is_given"


@pytest.fixture
def model(tmp_path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.txt").write_text("2.5\n")
    return folder


@pytest.fixture
def arguments(model, tmp_path) -> list[str]:
    """Options for the planted server, but for the program itself."""
    (model / "model.txt").write_text("7")
    (tmp_path / "sample.txt").write_text("123")
    return [
        "--kinds=serving",
        f"--model={model}",
        f"--sample={tmp_path}/sample.txt",
        f"--only={ONLY}",
        f"--json={tmp_path}/results.json",
        f"--junit={tmp_path}/results.xml",
    ]


def planted(fault: str) -> str:
    return f"--process={{python}} -ISB {shlex.quote(str(PLANTED))} {fault}"


def faults_of_the_example(model: Path, only: tuple[str, ...] = ()) -> dict[str, str]:
    with workplace() as work:
        wanted = Wanted(
            serve=Program(f"{{python}} {shlex.quote(str(EXAMPLE))}", work),
            sample=Sample(b"1,2,3\n4,5,6\n", "text/csv", model),
            only=only,
            side_by_side=1 if only else 5,
        )
        return broken(by_name(examine(wanted, LIMITS, work)))


@pytest.mark.verify
@pytest.mark.slow
def test_the_aws_example_shows_its_known_faults(model):
    found = set(faults_of_the_example(model))
    doubtful = found ^ KNOWN_FAULTS
    if doubtful:
        # some faults are matters of time, which a busy machine spoils: these once more, alone
        again = set(faults_of_the_example(model, tuple(doubtful)))
        found = found - doubtful | again
    assert found == KNOWN_FAULTS


def test_results_as_lines(arguments, capsys):
    assert main([planted("wrong_method"), *arguments]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "conformance: kept=2 broken=1 not_applicable=1"
    starts = [line.startswith("BROKEN  serving   wrong_method") for line in lines]
    place = starts.index(True)
    assert "500" in lines[place]
    assert "required: GET /invocations" in lines[place + 1]
    assert "source:   developer guide" in lines[place + 2]
    assert "fix:      answer 405" in lines[place + 3]


def test_results_as_json_and_junit(arguments, tmp_path):
    assert main([planted("wrong_method"), *arguments]) == 1
    table = json.loads((tmp_path / "results.json").read_text())
    assert table["kept"] == 2
    assert table["broken"] == 1
    assert table["not_applicable"] == 1
    (row,) = [row for row in table["clauses"] if row["clause"] == "wrong_method"]
    assert row["outcome"] == "broken"
    assert row["subject"] == "process"
    assert row["mend"] == "answer 405 to other methods"
    suite = ElementTree.parse(tmp_path / "results.xml").getroot().find("testsuite")
    assert suite is not None
    assert suite.get("tests") == "4"
    assert suite.get("failures") == "1"
    assert suite.get("skipped") == "1"
    failure = suite.find("testcase[@name='wrong_method']/failure")
    assert failure is not None
    assert failure.get("message", "").startswith("it got 500")


def test_without_a_broken_clause_the_exit_code_is_0(arguments):
    assert main([planted("none"), *arguments]) == 0


def test_a_known_fault_counts_as_not_applicable(arguments, tmp_path, capsys):
    (tmp_path / "known.json").write_text('{"wrong_method": "its proxy answers 405"}')
    assert main([planted("wrong_method"), *arguments, f"--known={tmp_path}/known.json"]) == 0
    output = capsys.readouterr().out
    assert "known: its proxy answers 405; seen: it got 500" in output
    assert "conformance: kept=2 broken=0 not_applicable=2" in output


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "nothing to check: give --train IMAGE, --serve IMAGE, or --process CMD"),
        (["--process", ""], "--process is empty"),
        (
            ["--process", "no-such-program {verb}"],
            "--process starts with 'no-such-program', which is not a program on this machine",
        ),
        (
            ["--process", "sh", "--train", "y"],
            "give either images, by --train and --serve, or a command, by --process",
        ),
        (
            ["--process", "sh", "--only", "nonsense"],
            "--only names 'nonsense', which is not a clause; --list shows them",
        ),
        (
            ["--process", "sh", "--kinds", "tuning"],
            "--kinds must be training or serving, found 'tuning'",
        ),
        (["--process", "sh", "--ami", "mine"], "found 'mine'"),
        (["--process", "sh", "--model", "/nowhere"], "--model must be a folder, found '/nowhere'"),
        (
            ["--process", "sh", "--job", "/nowhere.json"],
            "--job '/nowhere.json' is not readable JSON",
        ),
        (["--process", "sh", "--sample", "/nowhere.jpg"], "--sample '/nowhere.jpg' cannot be read"),
        (
            ["--process", "sh", "--json", "/nowhere/table.json"],
            "--json must be a file in an existing folder, found '/nowhere/table.json'",
        ),
        (
            ["--process", "sh", "--junit", "/"],
            "--junit must be a file in an existing folder, found '/'",
        ),
    ],
)
def test_options_that_cannot_be_used_get_one_sentence(arguments, words, capsys):
    assert main(arguments) == 2
    output = capsys.readouterr().err
    assert words in output
    assert output.startswith("conformance: ")
    assert output.count("\n") == 1


@pytest.mark.parametrize(
    "content, words",
    [
        ("[]", "must hold an object"),
        ('{"epochs": {}}', "must hold an object with any of hyperparameters"),
        ('{"hyperparameters": {"a": 1}}', "each an object of names and texts"),
        ('{"metrics": {"a": "("}}', "the expression of metric a is not valid"),
        ('{"channels": {"train": "nowhere"}}', "channel train is not a folder"),
    ],
)
def test_a_job_that_cannot_be_used_gets_one_sentence(tmp_path, capsys, content, words):
    (tmp_path / "job.json").write_text(content)
    assert main(["--process", "sh", "--job", str(tmp_path / "job.json")]) == 2
    assert words in capsys.readouterr().err


def test_the_module_lists_its_clauses():
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "--list"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    clauses = [line for line in lines if line.startswith(("training", "serving", "image"))]
    assert len(clauses) > 100


def test_no_results_are_counted_too():
    assert results.counted([]) == {"kept": 0, "broken": 0, "not_applicable": 0}
