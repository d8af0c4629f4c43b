"""The plain AWS example container under the clauses: its table shows the faults that its users know; and how the table is told."""

import json
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
from tests.conformance.test_training import broken
from tests.support.jobs import REPOSITORY

EXAMPLE = REPOSITORY / "tests" / "support" / "aws_example.py"
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
    "log_is_free_of_payloads",  # and the exception's words, with the client's in them, are in the log
    "sigterm_answers_what_is_under_way",  # the first process leaves before gunicorn has ended
}


@pytest.fixture
def model(tmp_path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.txt").write_text("2.5\n")
    return tmp_path / "model"


def test_the_aws_example_shows_its_known_faults(model):
    with workplace() as work:
        wanted = Wanted(
            serve=Program(f"{{python}} {EXAMPLE}", work),
            sample=Sample(b"1,2,3\n4,5,6\n", "text/csv", model),
            side_by_side=5,
        )
        results = {result.clause.name: result for result in examine(wanted, LIMITS, work)}
    found = broken(results)
    assert set(found) == KNOWN_FAULTS, found


def test_the_table_the_json_and_the_junit_file(model, tmp_path, capsys):
    planted = REPOSITORY / "tests" / "support" / "planted_server.py"
    (tmp_path / "sample.txt").write_text("123")
    only = "starts_with_serve,ping_is_empty,wrong_method,binds_to_the_port_it_is_given"
    arguments = [
        "--process",
        f"{{python}} -ISB {planted} wrong_method",
        "--kinds",
        "serving",
        "--model",
        str(model),
        "--sample",
        str(tmp_path / "sample.txt"),
        "--only",
        only,
        "--json",
        str(tmp_path / "table.json"),
        "--junit",
        str(tmp_path / "table.xml"),
    ]
    (model / "model.txt").write_text("7")
    assert main(arguments) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "conformance: kept=2 broken=1 not_applicable=1"
    place = next(
        place
        for place, line in enumerate(lines)
        if line.startswith("BROKEN  serving   wrong_method")
    )
    assert (
        "500" in lines[place]
        and "required: GET /invocations" in lines[place + 1]
        and "source:   developer guide" in lines[place + 2]
    )
    assert "fix:      answer 405" in lines[place + 3]
    table = json.loads((tmp_path / "table.json").read_text())
    assert (table["kept"], table["broken"], table["not_applicable"]) == (2, 1, 1)
    assert {row["clause"]: row["outcome"] for row in table["clauses"]}["wrong_method"] == "broken"
    suite = ElementTree.parse(tmp_path / "table.xml").getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "1", "1")
    assert (
        suite.find("testcase[@name='wrong_method']/failure").get("message").startswith("it got 500")
    )
    assert main([*arguments[:1], f"{{python}} -ISB {planted} none", *arguments[2:]]) == 0


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "nothing to check: give --train IMAGE, --serve IMAGE, or --process CMD"),
        (["--process", ""], "--process is empty"),
        (
            ["--process", "no-such-program {verb}"],
            "--process starts with 'no-such-program', which is no program here",
        ),
        (
            ["--process", "sh", "--train", "y"],
            "give either images, by --train and --serve, or a command, by --process",
        ),
        (
            ["--process", "sh", "--only", "nonsense"],
            "--only names 'nonsense', which is not a clause",
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
    told = capsys.readouterr().err
    assert words in told and told.startswith("conformance: ") and told.count("\n") == 1


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
    assert (
        sum(line.startswith(("training", "serving", "image")) for line in done.stdout.splitlines())
        > 100
    )
    assert results.counted([]) == {"kept": 0, "broken": 0, "not_applicable": 0}
