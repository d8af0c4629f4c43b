"""Our package `artifact` beside a user's script that may have a module of the same name.

A script's own folder comes first on Python's path. Its `artifact.py` must neither hide ours nor be
replaced by it.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

NAME = "artifact"
FOLDER = Path(__file__).resolve().parent.parent / NAME

_own: dict[str, ModuleType] = {}  # our modules, while another call may need them again


@contextmanager
def own_artifact() -> Iterator[None]:
    """Within it, `import artifact` gives ours; before and after, whatever the script has."""
    if _is_ours(sys.modules.get(NAME)):
        yield
        return
    theirs = _taken_out()
    try:
        sys.modules.update(_own)
        if not _own:
            _load()
        yield
    finally:
        _own.update(_taken_out())
        sys.modules.update(theirs)


def _is_ours(module: ModuleType | None) -> bool:
    found = getattr(module, "__file__", None)
    return found is not None and Path(found).resolve().parent == FOLDER


def _taken_out() -> dict[str, ModuleType]:
    """The package and its modules, which Python then has not loaded."""
    names = [name for name in sys.modules if name == NAME or name.startswith(f"{NAME}.")]
    return {name: sys.modules.pop(name) for name in names}


def _load() -> None:
    spec = importlib.util.spec_from_file_location(
        NAME, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"'{FOLDER}' cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)
