"""python bench/legibility.py [FOLDER...]: how easily the code reads, in figures per folder.

CONTRIBUTING.md sets its goals by these figures. A line counts when it has code or a comment;
widths are those of all lines that are not blank.
"""

import argparse
import ast
import io
import statistics
import subprocess
import sys
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
WIDTH = 100  # columns
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
LAYOUT = {
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.COMMENT,
}
COLUMNS = (
    ("files", "{:.0f}"),
    ("lines", "{:.0f}"),
    ("over_100", "{:.0f}"),
    ("width_p90", "{:.0f}"),
    ("ternaries", "{:.1f}"),
    ("nested", "{:.1f}"),
    ("tuples", "{:.1f}"),
    ("tokens_p90", "{:.0f}"),
    ("comments_%", "{:.1f}"),
    ("longest", "{:.0f}"),
)


@dataclass
class Figures:
    """What was counted in some files."""

    files: int = 0
    longest: int = 0  # lines of the longest file, blank ones too
    widths: list[int] = field(default_factory=list)  # columns of each line that is not blank
    tokens: list[int] = field(default_factory=list)  # of each line with code
    comments: int = 0  # lines that are a comment, or end with one
    lines: int = 0  # with code or a comment
    ternaries: int = 0
    nested: int = 0  # comprehensions in comprehensions, or with two `for`
    tuples: int = 0  # assignments of one tuple display to several names

    def add(self, source: str) -> None:
        """Count one file's source."""
        self.files += 1
        lines = source.splitlines()
        self.longest = max(self.longest, len(lines))
        self.widths += [len(line) for line in lines if line.strip()]
        self._count_tokens(source)
        for node in ast.walk(ast.parse(source)):
            self._count(node)

    def _count_tokens(self, source: str) -> None:
        per_line: dict[int, int] = {}
        commented: set[int] = set()
        lines = io.StringIO(source)
        for token in tokenize.generate_tokens(lines.readline):
            if token.type == tokenize.COMMENT:
                commented.add(token.start[0])
            elif token.type not in LAYOUT and not _is_docstring(token):
                row = token.start[0]
                per_line[row] = per_line.get(row, 0) + 1
        self.tokens += per_line.values()
        self.comments += len(commented)
        self.lines += len(commented | per_line.keys())

    def _count(self, node: ast.AST) -> None:
        if isinstance(node, ast.IfExp):
            self.ternaries += 1
        elif isinstance(node, COMPREHENSIONS):
            below = list(_below(node))
            inner = any(isinstance(one, COMPREHENSIONS) for one in below)
            two_loops = len(node.generators) > 1
            self.nested += int(inner or two_loops)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            self.tuples += int(isinstance(node.targets[0], ast.Tuple))

    def row(self) -> dict[str, float]:
        """The figures by the names of COLUMNS; ternaries, nested and tuples per 1,000 lines."""
        thousands = max(self.lines, 1) / 1000
        return {
            "files": self.files,
            "lines": self.lines,
            "over_100": sum(width > WIDTH for width in self.widths),
            "width_p90": _ninetieth(self.widths),
            "ternaries": self.ternaries / thousands,
            "nested": self.nested / thousands,
            "tuples": self.tuples / thousands,
            "tokens_p90": _ninetieth(self.tokens),
            "comments_%": 100 * self.comments / max(self.lines, 1),
            "longest": self.longest,
        }


def measure(paths: Iterable[Path]) -> Figures:
    """The figures of some Python files together."""
    figures = Figures()
    for path in paths:
        figures.add(path.read_text(encoding="utf-8"))
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/legibility.py", description=__doc__)
    parser.add_argument("folders", nargs="*", help="folders of the repository (default: all)")
    wanted = parser.parse_args().folders
    command = ["git", "ls-files", "*.py"]
    listed = subprocess.check_output(command, cwd=REPOSITORY, text=True)
    paths = [Path(line) for line in listed.splitlines()]
    top_level = {path.parts[0] for path in paths if len(path.parts) > 1}
    folders = wanted or sorted(top_level)
    heads = [name for name, _ in COLUMNS]
    print(_line("folder", heads))
    chosen: list[Path] = []
    for folder in folders:
        within = [REPOSITORY / path for path in paths if path.is_relative_to(folder)]
        print(_row(folder, measure(within)))
        if folder.partition("/")[0] != "tests":
            chosen += within
    print(_row("all but tests", measure(chosen)))
    return 0


def _row(name: str, figures: Figures) -> str:
    row = figures.row()
    return _line(name, [shape.format(row[column]) for column, shape in COLUMNS])


def _line(name: str, words: list[str]) -> str:
    return f"{name:16}" + "".join(f"{word:>11}" for word in words)


def _ninetieth(values: list[int]) -> float:
    if len(values) < 2:
        return float(sum(values))
    return statistics.quantiles(values, n=10)[-1]


def _is_docstring(token: tokenize.TokenInfo) -> bool:
    return token.type == tokenize.STRING and token.line.strip().startswith('"""')


def _below(node: ast.AST) -> Iterable[ast.AST]:
    found = ast.walk(node)
    next(found)  # the node itself
    return found


if __name__ == "__main__":
    sys.exit(main())
