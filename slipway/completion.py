"""slipway completion SHELL: prints what makes a shell complete `slipway`'s commands and options.

    bash: eval "$(slipway completion bash)"      in ~/.bashrc
    zsh:  eval "$(slipway completion zsh)"       in ~/.zshrc, after compinit
    fish: slipway completion fish | source       in ~/.config/fish/config.fish

The words come from the commands' own parsers, so they are always those of this checkout.
"""

import os
import sys
from typing import Never

from argcomplete.shell_integration import shellcode

from recipes.command_line import CommandLine
from slipway.commands import COMMANDS

SHELLS = ("bash", "zsh", "fish")


def main(arguments: list[str] | None = None) -> int:
    """Print the shell's code; 0."""
    parser = CommandLine(prog="completion", description=__doc__)
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    shell = parser.parse_args(arguments).shell
    if shell == "zsh":
        shell = "bash"  # argcomplete has one script for both
    print(shellcode(["slipway"], shell=shell))
    return 0


def words_before() -> list[str]:
    """The finished words of the line that a shell wants completed, without the program itself."""
    line = os.environ.get("COMP_LINE", "")
    point = int(os.environ.get("COMP_POINT") or len(line))
    typed = line[:point]
    words = typed.split()
    if words and not typed[-1].isspace():
        words.pop()  # the word that is to be completed
    return words[1:]


def complete_command() -> Never:
    """Offer the commands themselves; ends the process."""
    parser = CommandLine(prog="slipway")
    parser.add_argument("--version", action="store_true")
    commands = parser.add_subparsers()
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.text)
    parser.parse_args([])
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
