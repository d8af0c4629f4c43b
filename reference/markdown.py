"""Markdown from texts: tables, cells, and prose in which nothing is markup by accident."""

import re
from collections.abc import Iterable, Sequence

CODE = re.compile(r"(`[^`]*`)")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its cells are Markdown already."""
    lines = [_row(heads), _row(["---"] * len(heads))]
    lines += [_row(list(map(_cell, row))) for row in rows]
    return "\n".join(lines)


def prose(text: str) -> str:
    """A text in which only backticks are markup."""
    parts = CODE.split(" ".join(text.split()))
    return "".join(part if part.startswith("`") else _escaped(part) for part in parts)


def paragraphs(text: str) -> str:
    """A docstring's paragraphs; an indented one becomes a block of text."""
    shown = []
    for paragraph in text.strip("\n").split("\n\n"):
        if paragraph.startswith(" "):
            lines = "\n".join(line.removeprefix("    ") for line in paragraph.splitlines())
            shown.append(f"```text\n{lines}\n```")
        else:
            shown.append(prose(paragraph))
    return "\n\n".join(shown)


def code(text: str) -> str:
    """A text as code; nothing for an empty one."""
    return f"`{text}`" if text else ""


def shown(value: object) -> str:
    """A setting's value as a user types it; nothing for an empty one."""
    if value is None or value in ("", (), {}):
        return ""
    if isinstance(value, bool):
        return code(str(value).lower())
    if isinstance(value, tuple | list):
        return code(",".join(map(str, value)))
    return code(str(value))


def _row(cells: Sequence[str]) -> str:
    return "|" + "|".join(f" {cell} ".replace("  ", " ") for cell in cells) + "|"


def _cell(text: str) -> str:
    parts = CODE.split(" ".join(text.split()))
    return "".join(part if part.startswith("`") else part.replace("|", "\\|") for part in parts)


def _escaped(text: str) -> str:
    plain = text.replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([*\[\]])", r"\\\1", plain)
