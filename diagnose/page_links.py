"""Links from one page of a training to its others, relative, so that a copied folder keeps them."""

import os
from pathlib import Path

from artifact.model import write_atomically

FINDINGS_PAGE = "findings.html"
TRAINING_REPORT = "report.html"
PROFILER_PAGE = Path("rule-output", "ProfilerReport", "profiler-output", "profiler-report.html")
NAMES = {
    FINDINGS_PAGE: "All findings",
    TRAINING_REPORT: "Report of the training",
    str(PROFILER_PAGE): "Profile",
}
# where a page can lie, seen from the folder of findings.html; the last is the job's output/data
PLACES = (".", "data")
FINDINGS_MARK = b"<!-- findings -->"  # in a training's report: the place of the link
DEPTH = len(PROFILER_PAGE.parent.parts)  # of the profiler's page below the folder of findings.html


def base_of(folder: Path) -> Path:
    """The folder of findings.html, from the folder of any page."""
    if folder.parts[-DEPTH:] == PROFILER_PAGE.parent.parts:
        return folder.parents[DEPTH - 1]
    return folder


def links(folder: Path, pages: tuple[str, ...], coming: bool = False) -> dict[str, str]:
    """The addresses of the pages that are there by their names, seen from `folder`.

    coming: findings.html will be written after the page that is asking.
    """
    base = base_of(folder)
    found = {}
    for page in pages:
        for place in PLACES:
            path = base / place / page
            if path.is_file() or (page == FINDINGS_PAGE and coming):
                found[NAMES[page]] = Path(os.path.relpath(path, folder)).as_posix()
                break
    return found


def link_findings(report: Path) -> None:
    """Let a training's report, written before its findings were, link to them.

    A page that is not ours, or that has the link already, stays as it is. OSError when it cannot be
    written.
    """
    if not report.is_file() or not (report.parent / FINDINGS_PAGE).is_file():
        return
    link = f'<a href="{FINDINGS_PAGE}">{NAMES[FINDINGS_PAGE]}</a>'
    content = report.read_bytes()
    if FINDINGS_MARK in content:
        write_atomically(report, content.replace(FINDINGS_MARK, link.encode(), 1))
