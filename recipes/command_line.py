"""The parser of every command line: argparse's, with the nearest name for an unknown one.

It also completes words at a shell's prompt, where argcomplete asks for that.
"""

import argparse
import inspect
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Never

from artifact.folders.file_kinds import RECIPE_FILE
from artifact.host.listening import ask_loopback_directly
from artifact.host.starting import INTERRUPTED, begun
from recipes.suggestion import hint

RECIPE = Path(RECIPE_FILE)  # of the current folder, where none is named
# argparse's own sentences, in all of its versions
CHOICE = re.compile(r"invalid choice: '([^']*)'")
REQUIRES_RECIPE = "the following arguments are required: recipe"
UNRECOGNIZED = re.compile(r"unrecognized arguments: (--?[\w-]+)")
_called_as: dict[str, str] = {}


def called_as(program: str, typed: str) -> None:
    """Let a program's help and errors show what the user typed, such as `slipway prepare`."""
    _called_as[program] = typed


def typed(program: str) -> str:
    """What the user types for a program, such as `slipway prepare` or `python -m prepare`."""
    return _called_as.get(program, f"python -m {program}")


class Paragraphs(argparse.HelpFormatter):
    """Wraps each paragraph of a description to the terminal; indented lines stay as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = inspect.cleandoc(text).split("\n\n")
        shown = []
        for paragraph in paragraphs:
            is_block = paragraph.startswith(" ")
            shown.append(paragraph if is_block else super()._fill_text(paragraph, width, indent))
        return "\n\n".join(shown)


class CommandLine(argparse.ArgumentParser):
    """A parser. prog: the program's own name, such as `prepare`."""

    def __init__(self, prog: str | None = None, **options: Any) -> None:  # argparse's own
        options.setdefault("formatter_class", Paragraphs)
        super().__init__(prog=_called_as.get(prog or "", prog), **options)

    def parse_args(  # type: ignore[override]  # of argparse's overloads the one that is used
        self, args: Sequence[str] | None = None, namespace: None = None
    ) -> argparse.Namespace:
        """The options; ends the program with exit code 2 and a sentence for a wrong one."""
        if "_ARGCOMPLETE" in os.environ:  # a shell asks what may come next
            import argcomplete

            argcomplete.autocomplete(self)
        begun()
        # Here every program begins that may ask a server of this machine for something.
        ask_loopback_directly()
        return super().parse_args(args, namespace)

    def error(self, message: str) -> Never:
        """End with exit code 2 and a sentence; an unknown name gets its nearest known one."""
        if message.startswith(REQUIRES_RECIPE):
            message = no_recipe()
        choice = CHOICE.search(message)
        option = UNRECOGNIZED.search(message)
        if choice:
            message += hint(choice[1], _choices(self))
        elif option and option[1].lstrip("-") in _positionals(self):
            name = option[1].lstrip("-")
            message += f" ({name} is given without {option[1]})"
        elif option:
            message += hint(option[1], _options(self))
        super().error(message)


def reader_left() -> int:
    """The exit code after BrokenPipeError, such as in `slipway … | head`: nobody reads the rest."""
    # Python would fail once more on what it has not written yet.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def interrupted(program: str, more: str = "") -> int:
    """The exit code after KeyboardInterrupt, once a sentence is printed. more: its end."""
    print(f"{program}: interrupted{more}", file=sys.stderr)
    return INTERRUPTED


def recipe_here() -> bool:
    """Whether the current folder is a project: one with a recipe of its own."""
    return RECIPE.is_file()


def no_recipe() -> str:
    """The sentence where a recipe is needed, and none is named or here."""
    return (
        f"there is no {RECIPE} in '{Path.cwd()}'; go to the project's folder, name a recipe, "
        "or type: slipway init NAME"
    )


def add_recipe(parser: argparse.ArgumentParser, text: str = "a YAML file") -> None:
    """The argument RECIPE. In a project's folder it may be left out."""
    if recipe_here():
        parser.add_argument(
            "recipe", type=Path, nargs="?", default=RECIPE, help=f"{text} (default: {RECIPE})"
        )
    else:
        parser.add_argument("recipe", type=Path, help=f"{text}; in a project, its {RECIPE}")


def setting(text: str) -> tuple[str, str]:
    """A hyperparameter's name and value from NAME=VALUE, with `-` as `_`."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, found '{text}'")
    return name.strip().replace("-", "_"), value


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _parsers(below)


def _options(parser: argparse.ArgumentParser) -> list[str]:
    names: list[str] = []
    for found in _parsers(parser):
        for action in found._actions:
            names += action.option_strings
    return names


def _positionals(parser: argparse.ArgumentParser) -> list[str]:
    """The names of what is given by its place, such as `recipe`."""
    return [
        action.dest
        for found in _parsers(parser)
        for action in found._actions
        if not action.option_strings
    ]


def _choices(parser: argparse.ArgumentParser) -> list[str]:
    names: list[str] = []
    for found in _parsers(parser):
        for action in found._actions:
            names += [str(name) for name in action.choices or ()]
    return names
