"""python -m reference [--check]: write the reference pages of docs/ from the code.

--check writes nothing. Its exit code is 1 where a page is not what the code says.
"""

import artifact.host.starting  # noqa: F401  # before all else: it takes Ctrl-C

# isort: split
import sys
from collections.abc import Callable

from recipes.command_line import CommandLine
from reference.clauses import clauses
from reference.commands import commands
from reference.http_api import http_api
from reference.machines import machines
from reference.model_json import model_json
from reference.rules import rules
from reference.settings import environment, hyperparameters, recipe
from runtime.processes import REPOSITORY

FOLDER = REPOSITORY / "docs" / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "hyperparameters.md": hyperparameters,
    "recipe.md": recipe,
    "environment.md": environment,
    "commands.md": commands,
    "http-api.md": http_api,
    "rules.md": rules,
    "clauses.md": clauses,
    "model-json.md": model_json,
    "machines.md": machines,
}
NOTE = "<!-- `make docs` writes this page from the code. Change the code, not the page. -->\n\n"


def main(arguments: list[str] | None = None) -> int:
    """Write or check the pages; 1 where a checked page is stale."""
    parser = CommandLine(prog="reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare the pages")
    check = parser.parse_args(arguments).check
    pages = {name: NOTE + page() for name, page in PAGES.items()}
    stale = [name for name, text in pages.items() if not _is_written(name, text)]
    if check:
        for name in stale:
            print(
                f"reference: docs/reference/{name} is stale; type: python -m reference",
                file=sys.stderr,
            )
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (FOLDER / name).write_text(pages[name], encoding="utf-8")
        print(f"reference: wrote docs/reference/{name}")
    return 0


def _is_written(name: str, text: str) -> bool:
    path = FOLDER / name
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
