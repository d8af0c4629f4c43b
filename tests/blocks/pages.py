"""The pages whose blocks are run, in their order, and what is known of them without a run."""

from pathlib import Path

from tests.blocks.fences import Block, blocks, shown_only
from tests.support.jobs import REPOSITORY

MOST_LEFT_OUT = 5  # blocks that say why they are not run
MOST_SHOWN = 2  # commands that a page shows as text


def pages() -> list[Path]:
    """README.md and the pages of docs/, relative to the repository."""
    below = sorted((REPOSITORY / "docs").rglob("*.md"))
    return [path.relative_to(REPOSITORY) for path in [REPOSITORY / "README.md", *below]]


def blocks_of(page: Path) -> list[Block]:
    """A page's blocks, with the page as it is named in reports."""
    return [
        Block(page, block.line, block.text, block.expected) for block in blocks(REPOSITORY / page)
    ]


def left_out() -> list[Block]:
    """The blocks that no run takes."""
    return [block for page in pages() for block in blocks_of(page) if block.reason]


def not_run() -> list[str]:
    """One line per block of commands that no run takes: where it is, and why."""
    lines = [f"{block.page}:{block.line}: not run: {block.reason}" for block in left_out()]
    for page in pages():
        for line in shown_only(REPOSITORY / page):
            lines.append(f"{page}:{line}: not run: it is only shown, as text")
    return lines
