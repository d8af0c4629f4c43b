"""Log lines now and then in long loops over photos."""

import logging

from recipes import progress

PROGRESS_S = 10.0

log = logging.getLogger(__name__)


class Progress(progress.Progress):
    """Counts photos. total: None where it is not known yet; every_s: seconds from line to line."""

    def __init__(self, what: str, total: int | None = None, every_s: float = PROGRESS_S) -> None:
        super().__init__(what, total, lambda line: log.info("progress: %s", line), every_s)
