"""`python -m diagnose` within the test's own process."""

import pytest

from diagnose.__main__ import main


def command(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """The exit code, and all that it printed."""
    code = main([str(argument) for argument in arguments])
    captured = capfd.readouterr()
    return code, captured.out + captured.err
