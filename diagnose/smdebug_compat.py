"""smdebug loaded and used without its noise. It imports nothing of smdebug itself."""

import importlib.machinery
import importlib.util
import logging
import os
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def load_smdebug() -> Iterator[None]:
    """Load and use smdebug without a line at each parameter, step and missing tensor, nor its libraries' warnings of their own future.

    SMDEBUG_LOG_LEVEL, where it is set, still says what is logged.
    """
    _stand_in_for_pyinstrument()
    given = os.environ.get("SMDEBUG_LOG_LEVEL")
    os.environ["SMDEBUG_LOG_LEVEL"] = given or "error"
    logging.getLogger("smdebug").setLevel(
        logging.getLevelNamesMapping().get((given or "error").upper(), logging.ERROR)
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if given is None:
            os.environ.pop("SMDEBUG_LOG_LEVEL", None)
        _repair_finders()


def _stand_in_for_pyinstrument() -> None:
    """smdebug imports pyinstrument for a profiler of its own that is never used here; it has an extension that needs a compiler, so
    it may not be installed."""
    if "pyinstrument" in sys.modules or importlib.util.find_spec("pyinstrument"):
        return
    package, renderers = (
        types.ModuleType("pyinstrument"),
        types.ModuleType("pyinstrument.renderers"),
    )
    package.Profiler = renderers.JSONRenderer = None
    sys.modules.update({"pyinstrument": package, "pyinstrument.renderers": renderers})


def _repair_finders() -> None:
    """smdebug's profiler brings an old `six` whose import hook makes every later import of anything warn."""
    for finder in sys.meta_path:
        kind = type(finder)
        if kind.__name__ == "_SixMetaPathImporter" and not hasattr(kind, "find_spec"):

            def find_spec(
                self, name, path=None, target=None
            ) -> importlib.machinery.ModuleSpec | None:
                return (
                    importlib.util.spec_from_loader(name, self)
                    if name in self.known_modules
                    else None
                )

            kind.find_spec = find_spec
