"""Pages in one style for trainings, profiles and searches: one file each, nothing from the network.

`page.html.j2` beside this module holds their frame and style; each page's own template extends it.
"""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2

from artifact.model import write_atomically
from artifact.pages.project_pages import About, links, slot, tables


def write_page(
    path: Path,
    template: Path,
    filters: dict[str, Callable[..., Any]] | None = None,
    script: str = "",
    about: About | None = None,
    **values: object,
) -> None:
    """Fill the template and write the page, whole or not at all, and make the folders it needs.

    As render_page has it, with links to the data in the page's folder. Raises OSError when writing
    fails.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    files = links(tables(path.parent))
    write_atomically(path, render_page(template, filters, script, about, files, **values))


def render_page(
    template: Path,
    filters: dict[str, Callable[..., Any]] | None = None,
    script: str = "",
    about: About | None = None,
    project_links: str = "",
    **values: object,
) -> bytes:
    """The page that a template makes of the values, in UTF-8.

    Every value is escaped. script: the only JavaScript that the page's policy lets run. about: the
    page's note on itself; project_links: HTML.
    """
    made = page_environment(template.parent, filters)
    project = slot(about or About(), project_links)
    return rendered(made, template.name, script, project, **values)


def page_environment(
    folder: Path, filters: dict[str, Callable[..., Any]] | None = None
) -> jinja2.Environment:
    """Templates of a folder and the frame. A server keeps it: it compiles a template once."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,  # a server's pages stay those of its own code
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters or {})
    return environment


def rendered(
    environment: jinja2.Environment,
    name: str,
    script: str = "",
    project: str = "",
    /,
    **values: object,
) -> bytes:
    """The page of a template by its name, as render_page has it. project: HTML above the page.

    Where a value `own_server` is true, the page may ask the server that it comes from.
    """
    policy = "'none'"
    if script:
        digest = hashlib.sha256(script.encode()).digest()
        policy = f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
    page = environment.get_template(name).render(
        script=script, script_policy=policy, project=project, **values
    )
    # "replace": a file's name may hold bytes that are not text
    return page.encode("utf-8", "replace")
