"""slipway COMMAND ...: one door to the commands of all packages.

A command takes what `python -m MODULE` takes, and is the same code. In a project's folder it finds
recipe.yaml there, and keeps what it writes in out/.
"""

import artifact.host.starting  # noqa: F401  # before all else: it takes Ctrl-C

# isort: split
import os
import runpy
import sys

from artifact.text.names import escape_output, shell_word
from recipes.command_line import called_as, reader_left
from recipes.suggestion import hint
from runtime.processes import REPOSITORY
from slipway.commands import COMMANDS, GROUPS, Command
from slipway.version import version

FAILED = 1
USAGE_ERROR = 2
NAME_WIDTH = 16


def main(arguments: list[str]) -> int:
    """Run the command of the first argument on the others; the exit code where none runs."""
    escape_output()
    try:
        try:
            return _run_first(arguments)
        finally:
            sys.stdout.flush()  # else Python writes the rest after all, and leaves with 120
    except BrokenPipeError:  # such as `slipway … | head`
        return reader_left()


def _run_first(arguments: list[str]) -> int:
    if "_ARGCOMPLETE" in os.environ:
        arguments = _completed_words(arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"slipway {version()}")
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        guess = hint(name, COMMANDS)
        print(
            f"slipway: '{name}' is not a command{guess}; `slipway --help` lists them",
            file=sys.stderr,
        )
        return USAGE_ERROR
    return run(COMMANDS[name], arguments[1:])


def run(command: Command, arguments: list[str]) -> int:
    """Run a command's module as the program. SystemExit with its exit code."""
    if command.typed:
        called_as(command.program, command.typed)
    sys.argv = ["slipway", *command.words, *arguments]
    try:
        runpy.run_module(command.module, run_name="__main__", alter_sys=True)
    except ModuleNotFoundError as error:
        if _is_ours(error.name or ""):
            raise
        print(
            f"slipway: the environment lacks '{error.name}'; type: "
            f"make -C {shell_word(REPOSITORY)} environment",
            file=sys.stderr,
        )
        return FAILED
    return 0


def usage() -> str:
    """The list of commands, one per line, at most 80 columns wide."""
    lines = [
        "usage: slipway COMMAND ...",
        "       slipway COMMAND --help",
        "       slipway --version",
    ]
    for heading, commands in GROUPS.items():
        lines += ["", f"{heading}:"]
        lines += [f"  {name:{NAME_WIDTH}} {command.text}" for name, command in commands.items()]
    return "\n".join(lines)


def _completed_words(arguments: list[str]) -> list[str]:
    """The words of the line that a shell wants completed, without `slipway` itself.

    Where the command's own parser completes, argcomplete leaves out what stands before it.
    """
    from slipway.completion import complete_command, words_before

    words = words_before()
    if not words:
        complete_command()  # does not come back
    command = COMMANDS.get(words[0])
    if command is None:
        sys.exit(0)
    if not command.words:  # a short name stays a word of its parser
        os.environ["_ARGCOMPLETE"] = "2"
    return [words[0], *arguments]


def _is_ours(module: str) -> bool:
    """Whether a missing module would be a part of this checkout."""
    return (REPOSITORY / module.partition(".")[0]).is_dir()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
