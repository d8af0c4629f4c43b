"""Pages that ask nothing of the network: one file each, in one style, for trainings, profiles and searches.

`page.html.j2` beside it holds the frame and the style that all share; who writes a page brings a template that extends it.
"""

import base64
import hashlib
from pathlib import Path

import jinja2

from artifact.model import write_atomically


def write_page(
    path: Path, template: Path, filters: dict | None = None, script: str = "", **values
) -> None:
    """Fill the template and write the page, whole or not at all, making the folders it needs.

    Every value is escaped. script: the only JavaScript that the page's policy lets run. OSError when writing fails.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters or {})
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    page = environment.get_template(template.name).render(
        script=script, script_policy=f"'sha256-{digest}'" if script else "'none'", **values
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(
        path, page.encode("utf-8", "replace")
    )  # a file's name may hold bytes that are no text
