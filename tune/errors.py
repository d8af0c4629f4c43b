"""The errors of a search, of one kind with a recipe's: the command line prints both alike."""

import errno
from pathlib import Path

from artifact.host import os_errors
from recipes.errors import RecipeError


class SearchError(RecipeError):
    """Why a search cannot start or go on: one sentence for the user to act on."""


def sentence_of(error: OSError, out: Path | None = None) -> str:
    """The system's own words, with the file where there is one. out: of a search that can go on."""
    if out and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = error.filename or out  # a write names no file
        return f"the disk of '{where}' is full; make room, and the same command goes on"
    return os_errors.sentence_of(error)
