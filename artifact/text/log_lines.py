"""A program's log: one line per record, whatever names it quotes."""

import logging
from typing import TextIO

from artifact.text.names import printable


class OneLineFormatter(logging.Formatter):
    """A record's message in one line; a traceback keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's own name
        """The line without a traceback."""
        record.message = printable(record.message)
        return super().formatMessage(record)


def log_to(stream: TextIO, level: int = logging.INFO, form: str = "%(message)s") -> None:
    """Send the program's log to a stream, in place of where it went before."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(OneLineFormatter(form))
    logging.basicConfig(level=level, handlers=[handler], force=True)
