"""The program `python -m launch`: exit codes, errors as sentences, checks before AWS is asked."""

import argparse
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, NoRegionError

from launch import __main__ as program
from launch.context import LaunchContext
from launch.errors import LaunchError
from launch.recipe import read_recipe
from tests.support.registries import no_credentials

RECIPE = (
    "name: demo\nhyperparameters: {model: resnet18}\n"
    "sagemaker: {region: eu-west-1, role: 'arn:aws:iam::123456789012:role/R'}\n"
)
UNKNOWN = "name: demo\nhyperparameters: {modle: resnet18}\nsagemaker: {region: eu-west-1}\n"


@pytest.fixture
def ends_with(tmp_path, monkeypatch):
    """Runs the command status, which ends with an error or with a code; main's own code."""
    (tmp_path / "recipe.yaml").write_text(RECIPE)

    def run(outcome: BaseException | int) -> int:
        def command(context: object) -> int:
            if isinstance(outcome, int):
                return outcome
            raise outcome

        monkeypatch.setitem(program.COMMANDS, "status", command)
        return program.main(["status", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path)])

    return run


@pytest.mark.parametrize("code", [0, 1, 7])
def test_a_commands_code_is_the_programs(ends_with, capsys, code):
    assert ends_with(code) == code
    assert capsys.readouterr().out == ""


def test_an_interruption_ends_with_130(ends_with, capsys, tmp_path):
    assert ends_with(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == (
        "launch: interrupted; what was started continues: "
        f"`launch follow {tmp_path / 'recipe.yaml'}` waits for it again, "
        "`launch status` shows it\n"
    )


@pytest.mark.parametrize(
    "error, text",
    [
        (LaunchError("no"), "no"),
        (OSError("disk full"), "disk full"),
        (
            NoRegionError(),
            "no region is given; set `sagemaker: region:` in the recipe, or AWS_REGION",
        ),
    ],
)
def test_expected_errors_are_one_sentence(ends_with, capsys, error, text):
    assert ends_with(error) == 1
    assert capsys.readouterr().err == f"launch: failed: {text}\n"


@pytest.mark.parametrize("code", ["ExpiredTokenException", "ThrottlingException"])
@pytest.mark.parametrize("waited", [True, False])
def test_what_runs_is_named_where_aws_stops_answering(tmp_path, monkeypatch, capsys, code, waited):
    (tmp_path / "recipe.yaml").write_text(RECIPE)

    def command(context: LaunchContext) -> int:
        if waited:
            context.poll_s = 0
            context.wait()
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeTrainingJob")

    monkeypatch.setitem(program.COMMANDS, "status", command)
    path = str(tmp_path / "recipe.yaml")
    assert program.main(["status", path, "--out", str(tmp_path)]) == 1
    said = capsys.readouterr()
    line = f"what was started continues: `launch follow {path}` waits for it again\n"
    assert said.out == (line if waited else "")
    assert said.err.startswith("launch: failed: ")


def test_a_fault_of_ours_keeps_its_traceback(ends_with):
    with pytest.raises(ZeroDivisionError):
        ends_with(ZeroDivisionError("ours"))


@pytest.mark.parametrize("command", ["check", "train", "debug"])
def test_hyperparameters_are_checked_before_aws_is_asked(tmp_path, monkeypatch, capsys, command):
    no_credentials(monkeypatch)
    (tmp_path / "recipe.yaml").write_text(UNKNOWN)
    assert program.main([command, str(tmp_path / "recipe.yaml")]) == 1
    assert "'modle'" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["status", "deploy"])
def test_other_commands_take_any_hyperparameters(tmp_path, command):
    (tmp_path / "recipe.yaml").write_text(UNKNOWN)
    recipe = read_recipe(tmp_path / "recipe.yaml")
    options = argparse.Namespace(command=command, hyperparameters=None)
    program.check_names(recipe, options)
    given = argparse.Namespace(command="train", hyperparameters=Path("best.json"))
    program.check_names(recipe, given)


def test_lines_for_people_leave_standard_output_to_a_dry_runs_json(capsys):
    program.line_printer(dry=False)("a")
    program.line_printer(dry=True)("b")
    program.line_printer(dry=False)("failed: \x1b[2K\ntraining a: Completed")
    assert capsys.readouterr() == ("a\nfailed: \\x1b[2K\\ntraining a: Completed\n", "b\n")


def test_a_cost_has_its_lines_on_standard_output_even_in_a_dry_run(tmp_path, monkeypatch, capsys):
    no_credentials(monkeypatch)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    assert program.main(["cost", str(tmp_path / "recipe.yaml"), "--dry-run"]) == 0
    assert "training, at most" in capsys.readouterr().out
