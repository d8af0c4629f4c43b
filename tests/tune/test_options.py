"""The command line of `python -m tune`."""

import pytest

from tune.options import parse


def test_a_command_for_each_trial_goes_with_its_engine(capsys):
    options = parse(["recipe.yaml", "--engine", "command", "--command", "any 'a program'"])
    assert options.command == ("any", "a program")
    for alone in (("--engine", "command"), ("--command", "any")):
        with pytest.raises(SystemExit):
            parse(["recipe.yaml", *alone])
        assert "--engine command and --command go together" in capsys.readouterr().err
