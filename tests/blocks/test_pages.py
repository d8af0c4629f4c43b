"""README.md and docs/: every block runs literally, and what cannot run is little and named."""

import re

import pytest

from tests.blocks.fences import pieces, prose_words, unmarked
from tests.blocks.pages import MOST_LEFT_OUT, MOST_SHOWN, blocks_of, left_out, not_run, pages
from tests.blocks.reading import README, read_page
from tests.blocks.world import World, make_world
from tests.pictures.sources import SOURCES
from tests.support.jobs import REPOSITORY

MOST_WORDS = 900


def test_the_readme_is_short():
    assert prose_words(REPOSITORY / README) <= MOST_WORDS


def test_all_pictures_are_shown_and_the_readmes_links_lead_somewhere():
    text = (REPOSITORY / README).read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]{10,}\]\(docs/pictures/([a-z]+\.png)\)", text)
    in_docs = "".join(
        page.read_text(encoding="utf-8") for page in (REPOSITORY / "docs").rglob("*.md")
    )
    shown += re.findall(r"!\[[^\]]{10,}\]\((?:\.\./)?pictures/([a-z]+\.png)\)", in_docs)
    assert sorted(set(shown)) == sorted(SOURCES)
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert (REPOSITORY / link).exists(), link


def test_the_readme_names_the_pythons_that_are_taken():
    settings = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    oldest, beyond = re.findall(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', settings)[0]
    named = f"Python 3.{oldest} to 3.{int(beyond) - 1}"
    assert named in (REPOSITORY / README).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", pages(), ids=str)
def test_every_block_names_its_language_and_is_read(page):
    assert unmarked(REPOSITORY / page) == []
    for block in blocks_of(page):
        assert pieces(block), f"{page}:{block.line}"


def test_few_blocks_are_left_out():
    named = [f"{block.page}:{block.line}: {block.reason}" for block in left_out()]
    assert len(named) <= MOST_LEFT_OUT, named
    # Where a reader must put in a name, and where a program's help has an example.
    assert len(not_run()) - len(named) <= MOST_SHOWN, not_run()


@pytest.mark.verify
@pytest.mark.parametrize("line", not_run(), ids=lambda line: line.partition(": ")[0])
def test_a_block_that_no_run_takes(line):
    pytest.skip(line)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("blocks")


@pytest.fixture(scope="module")
def world(root) -> World:
    """One reader's machine for all pages: README.md comes first."""
    return make_world(root)


@pytest.mark.verify
@pytest.mark.parametrize("page", pages(), ids=str)
def test_every_block_of_a_page_runs(world, root, page):
    if page != README and not world.checkout.is_dir():
        pytest.fail("README.md's own blocks failed, and this page begins where they end")
    read_page(world, page, root)
