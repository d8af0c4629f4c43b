"""smdebug loaded and used without its noise. Imports nothing of smdebug itself."""

import importlib.machinery
import importlib.util
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diagnose.smdebug_mends import mend_smdebug


@contextmanager
def load_smdebug() -> Iterator[None]:
    """Load and use smdebug without its log lines, and without its libraries' warnings.

    smdebug logs a line for each parameter, step and missing tensor. SMDEBUG_LOG_LEVEL, where it is
    set, still sets its level.
    """
    mend_smdebug()
    given = os.environ.get("SMDEBUG_LOG_LEVEL")
    level = given or "error"
    os.environ["SMDEBUG_LOG_LEVEL"] = level
    levels = logging.getLevelNamesMapping()
    logging.getLogger("smdebug").setLevel(levels.get(level.upper(), logging.ERROR))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if given is None:
            os.environ.pop("SMDEBUG_LOG_LEVEL", None)
        _repair_finders()


def _repair_finders() -> None:
    """Give the import hook of an old `six` its find_spec: without it every later import warns.

    smdebug's profiler brings that `six` along.
    """
    for finder in sys.meta_path:
        kind: Any = type(finder)
        if kind.__name__ == "_SixMetaPathImporter" and not hasattr(kind, "find_spec"):
            kind.find_spec = _find_spec


def _find_spec(
    finder: Any, name: str, path: object = None, target: object = None
) -> importlib.machinery.ModuleSpec | None:
    if name not in finder.known_modules:
        return None
    return importlib.util.spec_from_loader(name, finder)
