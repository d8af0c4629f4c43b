"""The answer to --help of the servers, which take environment variables in place of options."""

import argparse
import sys
import textwrap

from artifact.host.environment import variable
from artifact.host.starting import begun

SHOWN = (
    "SLIPWAY_MODEL_DIR",
    "SAGEMAKER_BIND_TO_PORT",
    "SLIPWAY_HOST",
    "SLIPWAY_PRECISION",
    "SLIPWAY_DEVICE",
    "SAGEMAKER_MAX_PAYLOAD_IN_MB",
    "SAGEMAKER_MULTI_MODEL",
    "SLIPWAY_PAGE",
)
COLUMNS = 78
INDENT = 6 * " "
CLOSING = (
    "docs/reference/environment.md lists all of them. "
    "In a project's folder, `slipway serve` sets them."
)


def variables() -> str:
    """The variables that most users need, each with its text below."""
    lines = ["A server reads environment variables, not options:", ""]
    for name in SHOWN:
        sets, default = variable(name)
        text = f"{sets}; default: {default}" if default else sets
        plain = text.replace("`", "")
        lines.append(f"  {name}")
        lines += textwrap.wrap(plain, COLUMNS, initial_indent=INDENT, subsequent_indent=INDENT)
    return "\n".join([*lines, "", *textwrap.wrap(CLOSING, COLUMNS)])


def answer_help(program: str, description: str) -> None:
    """Print the help and end the program where --help is asked for.

    Other words are left alone: platforms start the server with words of their own.
    """
    begun()
    parser = argparse.ArgumentParser(
        prog=program,
        description=f"{description.strip()}\n\n{variables()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if {"-h", "--help"} & set(sys.argv[1:]):
        parser.parse_args(["--help"])
