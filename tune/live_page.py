"""tuning.html while a search runs: written anew as trials go on; an open page follows it."""

import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from artifact.pages.project_index import refresh_above
from tune.page import Live, write_page
from tune.results import TuningJob
from tune.search_settings import PAGE_FILE

NEW_S = 5.0  # from one page to the next at least, and from one look of an open page to the next
SAME_S = 30.0  # without news: a page of that age is written again, so that it is known to be alive
SHARE = 0.02  # of the time that writing may take


class LivePage:
    """A search's page, from its first trial to its end. recipe: its name, for the index."""

    def __init__(self, out: Path, recipe: str) -> None:
        self._path = out / PAGE_FILE
        self._recipe = recipe
        self._jobs: tuple[TuningJob, ...] = ()
        self._due = 0.0  # of time.monotonic(): before it nothing is written
        self._stale = 0.0  # from then on it is written without news, too

    def show(self, jobs: tuple[TuningJob, ...]) -> None:
        """Write the page where there is news, and the last one is old enough."""
        now = time.monotonic()
        if now < self._due or (jobs == self._jobs and now < self._stale):
            return
        self._write(jobs, Live(datetime.now(UTC), NEW_S))
        end = time.monotonic()
        self._due = end + max(NEW_S, (end - now) / SHARE)
        self._stale = end + SAME_S

    def end(self, jobs: tuple[TuningJob, ...]) -> None:
        """Write it as it stays; nothing where the search has no tuning job yet."""
        if jobs:
            self._write(jobs, None)

    def _write(self, jobs: tuple[TuningJob, ...], live: Live | None) -> None:
        self._jobs = jobs
        with suppress(OSError):  # a page never ends a search; the results say what the disk says
            write_page(self._path, jobs, live)
            refresh_above(self._path, self._recipe)
