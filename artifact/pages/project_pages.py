"""The pages below a project's results: what each says of itself, and its links to the others.

A page keeps a note on itself in a comment, so that the note travels with the page. Which pages
there are is what lies on the disk: folders may be moved, copied and removed.
"""

import functools
import html
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import jinja2

from artifact.text.json_text import read_json

INDEX = "index.html"
UNFINISHED = "unfinished"  # the start of a folder's name below out/: a run writes there
# Where pages lie below out/; a walk would pass through all photos.
PLACES = (
    *("*.html", "*/*.html", "tune/*/*.html"),
    *("*/output/*.html", "*/output/*/*.html", "*/output/*/*/*.html"),
    *("launch/*/*/*.html", "launch/*/*/output/*.html", "launch/*/*/output/*/*.html"),
    "launch/*/*/output/*/*/*.html",
)
INDEX_KIND = "index"
KINDS = {  # in the order of a project: what one page and several are called
    "photos": ("Photos", "Photos"),
    "training": ("Training", "Trainings"),
    "search": ("Search", "Searches"),
    "comparison": ("Comparison", "Comparisons"),
    "findings": ("Findings", "Findings"),
    "profile": ("Profile", "Profiles"),
    "drift": ("Drift", "Drift of an endpoint"),
    "page": ("Page", "Other pages"),
}
SLOT = re.compile(rb"<!--project(.*?)-->(.*?)<!--/project-->", re.S)
TITLE = re.compile(rb"<title>(.*?)</title>", re.S)
HEAD_BYTES = 256 * 1024  # of a page, within which its note stands
TABLE = ".csv"
DATA = (TABLE, ".json", ".yaml")
MOST_LINKS = 8  # to other pages; the index has them all


@dataclass(frozen=True)
class About:
    """What a page says of itself. measured: names to texts. made: ISO 8601 with zone.

    Empty texts: not known.
    """

    kind: str = "page"
    measured: dict[str, str] = field(default_factory=dict)
    recipe: str = ""
    commit: str = ""
    made: str = ""


@dataclass(frozen=True)
class Page:
    """A page below a project's results. path: relative to them. files: names in its folder."""

    path: Path
    title: str
    about: About
    files: tuple[str, ...]

    @property
    def link(self) -> str:
        """Its place as an address below the results."""
        return _address(self.path)

    def link_to(self, file: str) -> str:
        """A file of its folder as an address below the results."""
        return _address(self.path.parent / file)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables among its files."""
        return tuple(name for name in self.files if name.endswith(TABLE))

    @property
    def place(self) -> str:
        """The folder that a reader knows it by, such as `ml` or `tune/demo`; "" for the top."""
        parts = self.path.parent.parts
        if "output" in parts:
            parts = parts[: parts.index("output")]
        return "/".join(parts)


def slot(about: About, links: str = "") -> str:
    """The part of a page that holds its note and its links. links: HTML."""
    known = {name: value for name, value in vars(about).items() if value}
    text = json.dumps(known)
    # Within a comment of HTML: no name can end it.
    for letter in "-<>":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return f"<!--project{text}-->{links}<!--/project-->"


def find(out: Path) -> list[Page]:
    """The project's pages, by their places."""
    root = Path(os.path.realpath(out))
    found = {}
    for pattern in PLACES:
        for path in out.glob(pattern):
            relative = path.relative_to(out)
            unfinished = relative.parts[0].startswith(f"{UNFINISHED}-")
            if unfinished or relative.name.startswith("."):
                continue
            # A container may have left a link out of the tree.
            if not path.is_symlink() and Path(os.path.realpath(path)).is_relative_to(root):
                page = _read(out, relative)
                if page is not None:
                    found[relative] = page
    return [found[path] for path in sorted(found)]


def _read(out: Path, path: Path) -> Page | None:
    """The page; None for a file that is no page of ours, or the index."""
    try:
        with open(out / path, "rb") as file:
            head = file.read(HEAD_BYTES)
            changed = os.fstat(file.fileno()).st_mtime
    except OSError:  # gone in the meantime
        return None
    held = SLOT.search(head)
    if held is None:
        return None
    about = about_of(held[1])
    if about.kind == INDEX_KIND:
        return None
    if not about.made:
        made = datetime.fromtimestamp(changed, UTC).isoformat(timespec="seconds")
        about = replace(about, made=made)
    title = TITLE.search(head)
    words = html.unescape(title[1].decode("utf-8", "replace")) if title else path.name
    return Page(path, words, about, data_files((out / path).parent))


def about_of(text: bytes) -> About:
    """The note in a comment; an empty one where it cannot be read."""
    try:
        known = read_json(text)
        measured = {str(name): str(value) for name, value in known.pop("measured", {}).items()}
        about = About(measured=measured, **{name: str(value) for name, value in known.items()})
    except (ValueError, TypeError, AttributeError):
        return About()
    if about.kind not in (*KINDS, INDEX_KIND):
        return replace(about, kind="page")
    return about


def data_files(folder: Path) -> tuple[str, ...]:
    """The names of the tables and other data in a page's folder, tables first.

    The pages link to the tables alone; the index links to all.
    """
    names = [
        entry.name
        for entry in os.scandir(folder)
        if entry.name.endswith(DATA) and not entry.name.startswith(".") and entry.is_file()
    ]
    return tuple(sorted(names, key=lambda name: (not name.endswith(TABLE), name)))


def tables(folder: Path) -> tuple[str, ...]:
    """The names of the tables in a page's folder."""
    return tuple(name for name in data_files(folder) if name.endswith(TABLE))


def links(files: Iterable[str], out: Path | None = None, others: Iterable[Page] = ()) -> str:
    """A page's links as HTML. out: the results as seen from its folder; None outside a project."""
    shown = list(others)[:MOST_LINKS]
    return _template().render(
        files=[(_address(Path(name)), name) for name in files],
        index=None if out is None else _address(out / INDEX),
        others=[
            (_address(out / page.path), _words(page, shown), page.title)
            for page in shown
            if out is not None
        ],
    )


def _address(path: Path) -> str:
    """A relative path as an address; a name's bytes may be no text."""
    return quote(os.fsencode(path.as_posix()))


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    text = Path(__file__).with_name("project_links.html.j2").read_text(encoding="utf-8")
    return environment.from_string(text)


def _words(page: Page, shown: Iterable[Page]) -> str:
    """What a link to a page says: its kind, and its place where there are several of it."""
    word = KINDS[page.about.kind][0]
    alike = [other for other in shown if other.about.kind == page.about.kind]
    return word if len(alike) == 1 else f"{word} {page.place or page.path.stem}"
