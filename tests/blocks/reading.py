"""A reader types all blocks of one page."""

from pathlib import Path

from tests.blocks.fences import Block
from tests.blocks.pages import blocks_of
from tests.blocks.shell import Ran, Shell, run_page
from tests.blocks.world import World

README = Path("README.md")


def read_page(world: World, page: Path, root: Path) -> list[Ran]:
    """Run a page's blocks in the reader's world. BlockError at the first that fails."""
    folder = world.folder if page == README else world.checkout
    work = root / "work" / "-".join(page.with_suffix("").parts)
    shell = Shell(folder, work, world.environment, world.starter)
    return run_page(to_run(world, page), shell, _say)


def to_run(world: World, page: Path) -> list[Block]:
    """The blocks of a page that this world can run; those that lack an engine are named."""
    todo = []
    for block in blocks_of(page):
        if block.needs_engine and not world.has_engine:
            _say(f"{page}:{block.line}: not run: it needs a Docker engine, and none answers")
        elif not block.reason:
            todo.append(block)
    return todo


def _say(line: str) -> None:
    print(line, flush=True)
