"""The page of commands: each program's own parser, as a table of its arguments and options.

argparse's help text differs between versions of Python. The table is made from the parser, so it
does not.
"""

import argparse
import inspect
import re
import runpy
import sys
import warnings
from collections.abc import Iterator
from unittest.mock import patch

from reference.markdown import code, paragraphs, prose, table
from runtime.processes import REPOSITORY
from slipway.commands import GROUPS, Command

# Programs that `slipway` has no command for, by module: the parser's own name
PROGRAMS = {
    "train": "train",
    "prepare": "prepare",
    "serve": "serve",
    "serve.mms": "serve.mms",
    "tune.show": "tune.show",
    "conformance.sbom": "sbom",
    "local_sagemaker.aws.moto": "moto",
    "local_test.demo": "demo",
    "local_test.e2e": "e2e",
    "local_test.soak": "soak",
}
HIDDEN = (argparse._HelpAction, argparse._SubParsersAction)


class Found(BaseException):
    """Thrown out of a program when it parses its options. No program catches it."""

    def __init__(self, parser: argparse.ArgumentParser):
        super().__init__()
        self.parser = parser


def commands() -> str:
    """All commands: those of `slipway`, those of modules, and the targets of make."""
    parts = [
        "# Commands",
        "Every command answers `--help`. A mistyped command or option gets the nearest known one.",
    ]
    for heading, group in GROUPS.items():
        parts.append(f"## {heading}")
        for name, command in group.items():
            parts.append(_command(name, command))
    parts.append("## Further programs")
    parts += [_program(f"python -m {module}", parser_of(module)) for module in PROGRAMS]
    parts += ["## Make targets", _targets()]
    return "\n\n".join(parts) + "\n"


def parser_of(module: str) -> argparse.ArgumentParser:
    """The parser with which a program reads its options. The program ends there."""

    def stop(parser: argparse.ArgumentParser, *_: object) -> None:
        raise Found(parser)

    with (
        patch.object(argparse.ArgumentParser, "parse_args", stop),
        patch.object(sys, "argv", [module, "--help"]),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", RuntimeWarning)  # another page has loaded the module
        try:
            runpy.run_module(module, run_name="__main__")
        except Found as found:
            return found.parser
    raise RuntimeError(f"python -m {module} has read no options")


def _command(name: str, command: Command) -> str:
    if command.words:
        same = f"slipway {command.module} {' '.join(command.words)}"
        anchor = same.replace(" ", "-")
        return f"### `slipway {name}`\n\n{_sentence(command.text)} It is [`{same}`](#{anchor})."
    parser = parser_of(command.module)
    shown = _program(f"slipway {name}", parser, command.text)
    if name == "launch":
        for below, inner in _subcommands(parser):
            shown += f"\n\n{_program(f'slipway launch {below}', inner)}"
    return shown


def _program(typed: str, parser: argparse.ArgumentParser, text: str = "") -> str:
    """A heading, the description, and a row per argument and option."""
    description = _description(parser) or _sentence(text)
    rows = [_row(action) for action in parser._actions if _is_shown(action)]
    parts = [f"### `{typed}`", description]
    if rows:
        parts.append(table(("argument", "what it is"), rows))
    return "\n\n".join(parts)


def _description(parser: argparse.ArgumentParser) -> str:
    # `prepare SRC DST: …` says in front what the heading and the table say.
    described = inspect.cleandoc(parser.description or "")
    text = re.sub(r"^(?:python -m|slipway) [^:]*: ", "", described)
    text = text.partition("\n\nA server reads environment")[0]
    if "\n\n" not in text and not text.endswith("."):
        text = _sentence(text)
    return paragraphs(text[:1].upper() + text[1:])


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _is_shown(action: argparse.Action) -> bool:
    return not isinstance(action, HIDDEN) and action.help != argparse.SUPPRESS


def _row(action: argparse.Action) -> tuple[str, str]:
    names = ", ".join(f"`{name}{_value(action)}`" for name in action.option_strings)
    what = prose((action.help or "") % _expanded(action))
    if not action.option_strings:
        names = code(_value(action).strip())
    elif action.required:
        what = f"{what} (required)"
    return names, what


def _expanded(action: argparse.Action) -> dict[str, object]:
    """What argparse puts into a help text for %(default)s and the like."""
    return {name: value for name, value in vars(action).items() if value is not argparse.SUPPRESS}


def _value(action: argparse.Action) -> str:
    """What stands behind an option, such as ` FILE`."""
    if action.nargs == 0:
        return ""
    name = action.metavar or action.dest.upper()
    if action.metavar is None and action.choices is not None:
        name = ",".join(map(str, action.choices))
    if action.metavar is None and not action.option_strings:
        name = action.dest.upper()
    text = name if isinstance(name, str) else " ".join(name)
    return f" {text} …" if action.nargs in ("+", "*") else f" {text}"


def _targets() -> str:
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    found = re.findall(r"^([a-z0-9-]+):.*?## (.*)$", text, re.MULTILINE)
    rows = [(code(f"make {name}"), prose(words)) for name, words in found]
    return table(("command", "what it does"), rows)
