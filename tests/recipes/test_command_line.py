"""The parser of every command line: hints, wrapping, the current folder's recipe."""

import pytest

from recipes.command_line import CommandLine, add_recipe, called_as


def parser() -> CommandLine:
    made = CommandLine(prog="program", description="First words.\n\n    a  block\n\nLast words.")
    made.add_argument("--engine")
    commands = made.add_subparsers(dest="command")
    deploy = commands.add_parser("deploy")
    deploy.add_argument("--dry-run", action="store_true")
    deploy.add_argument("recipe", nargs="?")
    return made


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["deploy", "--engin-e"], "unrecognized arguments: --engin-e (did you mean '--engine'?)"),
        (["deploy", "--dry-rnu"], "(did you mean '--dry-run'?)"),
        (["deplyo"], "(did you mean 'deploy'?)"),
        (["deploy", "x", "--recipe", "y"], "(recipe is given without --recipe)"),
    ],
)
def test_an_unknown_name_gets_the_nearest(words, sentence, capsys):
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(words)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_a_name_like_no_other_gets_no_guess(capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["--xyzzy"])
    assert capsys.readouterr().err.endswith("unrecognized arguments: --xyzzy\n")


def test_paragraphs_stay_apart_and_blocks_as_they_are():
    shown = parser().format_help()
    assert "First words.\n\n    a  block\n\nLast words." in shown


def test_help_shows_what_was_typed():
    called_as("of this test", "slipway test")
    assert CommandLine(prog="of this test").format_usage() == "usage: slipway test [-h]\n"


def test_the_recipe_of_the_current_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    alone = CommandLine(prog="program")
    add_recipe(alone)
    with pytest.raises(SystemExit):
        alone.parse_args([])
    assert f"there is no recipe.yaml in '{tmp_path}'; go to" in capsys.readouterr().err
    (tmp_path / "recipe.yaml").write_text("name: x\n")
    here = CommandLine(prog="program")
    add_recipe(here)
    assert str(here.parse_args([]).recipe) == "recipe.yaml"
    assert str(here.parse_args(["other.yaml"]).recipe) == "other.yaml"
