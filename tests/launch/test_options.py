"""Each command's options with their defaults, and what each flag changes."""

from pathlib import Path

import pytest

from launch.__main__ import COMMANDS, parse
from launch.cost import PRICES
from tests.support.jobs import REPOSITORY

# Of every command.
COMMON = {
    "recipe": Path("r.yaml"),
    "dry_run": False,
    "out": REPOSITORY / "out",
    "poll": 10.0,
    "no_wait": False,
    "again": False,
    "job": "",
    "metrics": False,
    "over_budget": False,
    "endpoint": False,
    "target": "",
    "model": "",
    "best": False,
    "hyperparameters": None,
    "json": False,
}
# Of one command only.
OWN: dict[str, dict[str, object]] = {
    "prepare": {"photos": ""},
    "status": {"all": False},
    "train": {"checkpoints": ""},
    "tune": {"search": ""},
    "debug": {"own": False},
    "register": {"approve": False},
    "approve": {"version": 0, "reject": False, "why": ""},
    "deploy": {"update": False, "package": ""},
    "api": {"delete": False, "url": False},
    "invoke": {"photos": ["a.jpg"]},
    "batch": {"photos": "a.jpg"},
    "drift": {"newest": 1000},
    "delete": {"yes": False, "data": False},
    "cost": {"prices": PRICES},
    "models": {"remove": ""},
}
PHOTOS = {"invoke": ["a.jpg"], "batch": ["a.jpg"]}
FLAGS = {
    "prepare": ["--again"],
    "train": ["--no-wait", "--again", "--over-budget", "--metrics", "--best"],
    "tune": ["--no-wait", "--again", "--over-budget"],
    "debug": ["--no-wait", "--over-budget", "--metrics", "--own"],
    "logs": ["--no-wait", "--metrics", "--endpoint"],
    "register": ["--again", "--best", "--approve"],
    "approve": ["--reject"],
    "packages": ["--json"],
    "deploy": ["--no-wait", "--best", "--update"],
    "api": ["--no-wait", "--delete", "--url"],
    "batch": ["--no-wait", "--again", "--best", "--json"],
    "check": ["--json"],
    "cost": ["--json"],
    "status": ["--json"],
    "models": ["--json"],
    "report": ["--json"],
    "invoke": ["--json"],
    "delete": ["--yes", "--data"],
}
TEXTS = {
    "prepare": ["--photos"],
    "train": ["--checkpoints"],
    "tune": ["--search"],
    "logs": ["--job"],
    "follow": ["--job"],
    "stop": ["--job"],
    "report": ["--job"],
    "register": ["--job", "--model"],
    "approve": ["--why"],
    "deploy": ["--job", "--model", "--target", "--package"],
    "batch": ["--job", "--model"],
    "invoke": ["--target"],
    "models": ["--remove"],
}


def options_of(command: str, *words: str) -> dict[str, object]:
    return vars(parse([command, "r.yaml", *PHOTOS.get(command, []), *words]))


def rows(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(command, flag) for command, flags in table.items() for flag in flags]


@pytest.mark.parametrize("command", [*COMMANDS, "cost"])
def test_defaults(command):
    expected = {"command": command, **COMMON, **OWN.get(command, {})}
    assert options_of(command) == expected


@pytest.mark.parametrize("command, flag", [*rows(FLAGS), ("status", "--dry-run")])
def test_flags(command, flag):
    name = flag.removeprefix("--").replace("-", "_")
    assert options_of(command, flag) == {**options_of(command), name: True}


@pytest.mark.parametrize("command, option", rows(TEXTS))
def test_options_with_a_text(command, option):
    name = option.removeprefix("--")
    assert options_of(command, option, "x") == {**options_of(command), name: "x"}


@pytest.mark.parametrize(
    "command, option, found",
    [
        ("train", "--hyperparameters", Path("7")),
        ("debug", "--hyperparameters", Path("7")),
        ("status", "--out", Path("7")),
        ("status", "--poll", 7.0),
        ("cost", "--prices", Path("7")),
    ],
)
def test_options_of_other_types(command, option, found):
    name = option.removeprefix("--")
    assert options_of(command, option, "7") == {**options_of(command), name: found}


@pytest.mark.parametrize(
    "words, expected",
    [
        ([], "the following arguments are required: command"),
        (["train"], "there is no recipe.yaml in"),
        (["invoke", "r.yaml"], "the following arguments are required: photos"),
        (
            ["train", "r.yaml", "--best", "--hyperparameters", "a.json"],
            "launch train: error: --best and --hyperparameters both give hyperparameters; "
            "give one of them",
        ),
    ],
)
def test_wrong_options(capsys, words, expected):
    with pytest.raises(SystemExit) as ended:
        parse(words)
    assert ended.value.code == 2
    assert expected in capsys.readouterr().err


def test_the_short_help_of_a_command_is_its_first_sentence(capsys):
    with pytest.raises(SystemExit):
        parse(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "deploy Make a model, a configuration and the endpoint, and wait until it" in shown
    assert "rolls back by itself" not in shown
    with pytest.raises(SystemExit):
        parse(["deploy", "--help"])
    assert "rolls back by itself" in " ".join(capsys.readouterr().out.split())
