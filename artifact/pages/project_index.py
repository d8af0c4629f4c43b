"""index.html of a project's results: all preparations, trainings, searches and endpoints.

Whatever writes a page calls refresh or refresh_above; nothing is kept beside the pages themselves.
"""

import fcntl
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from artifact.folders.file_kinds import RECIPE_FILE
from artifact.host.checkout import commit
from artifact.model import write_atomically
from artifact.pages.launched import Launched, launched
from artifact.pages.page import write_page
from artifact.pages.project_pages import (
    HEAD_BYTES,
    INDEX,
    INDEX_KIND,
    KINDS,
    SLOT,
    UNFINISHED,
    About,
    Page,
    about_of,
    find,
    links,
    slot,
)

OUT = "out"  # the folder of a project's results
RECIPES = "recipes"  # beside it in the checkout, in place of the one recipe of a project
LOCK = ".index.lock"

log = logging.getLogger(__name__)


def results_above(path: Path) -> Path | None:
    """The results' folder that a page lies in; None where it is in none."""
    for folder in path.absolute().parents:
        if _has_results(folder):
            return folder
        if folder.name.startswith(f"{UNFINISHED}-"):
            return None
    return None


def _has_results(folder: Path) -> bool:
    """Whether it is a project's: other people call a folder out, too, and get no index in it."""
    if folder.name != OUT:
        return False
    beside = folder.parent
    is_project = (beside / RECIPE_FILE).is_file() or (beside / RECIPES).is_dir()
    return is_project or ((folder / INDEX).is_file() and _is_ours(folder / INDEX))


def refresh_above(page: Path, recipe: str = "") -> None:
    """Bring the project's index up to date where a page that was just written lies in one."""
    out = results_above(page)
    if out is not None:
        refresh(out, [page], recipe)


def refresh(out: Path, fresh: Iterable[Path] = (), recipe: str = "") -> None:
    """Write index.html over all pages below `out`, and the links in each of them.

    fresh: pages that were just made, by this recipe. A fault is logged alone: the results
    themselves are there.
    """
    out = Path(out).absolute()
    if not out.is_dir():  # such as before the first result
        return
    new = {Path(os.path.abspath(path)) for path in fresh}
    try:
        with _alone(out):
            _refresh(out, new, recipe)
    except Exception as error:  # any: an index must never cost the results themselves
        log.warning("%s was not brought up to date: %r", out / INDEX, error)


def _refresh(out: Path, new: set[Path], recipe: str) -> None:
    pages = [_noted(page, out / page.path in new, recipe) for page in find(out)]
    pages.sort(key=lambda page: page.about.made, reverse=True)
    pages.sort(key=lambda page: [*KINDS].index(page.about.kind))
    if _is_ours(out / INDEX):
        write_index(out, pages, launched(out))
    for page in pages:
        _write_links(out, page, pages)


def _noted(page: Page, is_new: bool, recipe: str) -> Page:
    """A page that was just made, with the recipe and the commit that made it."""
    if not is_new:
        return page
    about = page.about
    if about.commit in ("", "unknown"):
        about = replace(about, commit=commit())
    return replace(page, about=replace(about, recipe=recipe or about.recipe))


def _write_links(out: Path, page: Page, pages: Sequence[Page]) -> None:
    """Put the page's note and its links into it, unless they are there already."""
    path = out / page.path
    top = Path(os.path.relpath(out, path.parent))
    made = slot(page.about, links(page.tables, top, [one for one in pages if one is not page]))
    try:
        before = path.read_bytes()
    except OSError:  # gone in the meantime
        return
    after = SLOT.sub(lambda _: made.encode("utf-8", "replace"), before, count=1)
    if after != before:
        write_atomically(path, after)


def _is_ours(path: Path) -> bool:
    """Whether an index may be written there: another's is never replaced."""
    if not path.exists():
        return True
    with open(path, "rb") as file:
        held = SLOT.search(file.read(HEAD_BYTES))
    return held is not None and about_of(held[1]).kind == INDEX_KIND


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Let one program at a time write an index and its links."""
    with open(out / LOCK, "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_index(out: Path, pages: Sequence[Page], running: Sequence[Launched]) -> None:
    """Write index.html. pages and running: in the order in which they are shown."""
    kinds: dict[str, list[Page]] = {}
    for kind, (_, heading) in KINDS.items():
        kinds[heading] = [page for page in pages if page.about.kind == kind]
    write_page(
        out / INDEX,
        Path(__file__).with_name("project_index.html.j2"),
        {"moment": moment, "short_commit": short_commit},
        about=About(INDEX_KIND),
        title=f"Results of {out.parent.name or out.name}",
        kinds={heading: found for heading, found in kinds.items() if found},
        launched=[(one, _report_of(one, pages)) for one in running],
    )


def _report_of(one: Launched, pages: Sequence[Page]) -> str:
    """The link to the report of a job, or of the one that made an endpoint's model; "" without."""
    for page in pages:
        top, *_ = parts = page.path.parts
        is_report = page.about.kind in ("training", "search")
        if top == "launch" and len(parts) > 3 and is_report and one.made(parts[2]):
            return page.link
    return ""


def short_commit(text: str) -> str:
    """A commit's first letters, and whether files were changed."""
    name, _, changed = text.partition("-")
    return name[:12] + ("-" + changed if changed else "")


def moment(text: str) -> str:
    """ISO 8601 as a person reads it, such as `2026-11-30 14:05 UTC`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{found:%Y-%m-%d %H:%M} {found.tzname() or ''}".rstrip()
