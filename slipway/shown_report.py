"""slipway.report: a report within a notebook."""

import html
import os
from pathlib import Path

# Below a folder, the first that is there: of a training, a preparation, a search
PLACES = (
    "output/data/report.html",
    "ml/output/data/report.html",
    "out/ml/output/data/report.html",
    "report.html",
    "tuning.html",
)


class Report:
    """A page that a notebook shows by itself. path: of its file. height: in pixels."""

    def __init__(self, path: Path, height: int):
        self.path = path
        self.height = height

    def __repr__(self) -> str:
        return str(self.path)

    def _repr_html_(self) -> str:
        """The page in a frame of its own: neither styles the other, and no script leaves it.

        Without the sandbox a page's script could do in the notebook what its user can.
        """
        page = html.escape(self.path.read_text("utf-8", "replace"))
        frame = f'sandbox="allow-scripts" width="100%" height="{self.height}" title="report"'
        return f'<iframe srcdoc="{page}" {frame}></iframe>'


def report(path: "str | os.PathLike[str]", height: int = 600) -> Report:
    """The report of a training, a preparation or a search, as a notebook shows it.

    path: of the page, or of the folder that holds it: a job's /opt/ml tree, a project, the folder
    of a preparation. Raises FileNotFoundError where there is none.
    """
    given = Path(path)
    if given.is_file():
        return Report(given, height)
    for place in PLACES:
        if (given / place).is_file():
            return Report(given / place, height)
    raise FileNotFoundError(f"'{given}' holds no report.html; expected a folder with results")
