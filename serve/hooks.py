"""A user's own functions around the model, from code/hooks.py of the artifact.

    def transform_request(body: bytes, content_type: str) -> tuple[bytes, str]
        The body and its type as slipway-serve takes them. A ValueError refuses the request: 400.
    def transform_probabilities(probabilities: np.ndarray, classes: list[str]) -> np.ndarray
        Of one photo, float32 [classes], from 0 to 1.
    def transform_answer(prediction: dict) -> dict
        The answer to one photo: label, probability, top and so on, or an error record.

Each is optional. They are called from several threads at once. An artifact may come from anywhere,
so its code runs only where the container's environment has SLIPWAY_HOOKS=1.
"""

import difflib
import importlib.util
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from artifact.answers import Prediction
from artifact.model import ArtifactError
from artifact.text.names import printable
from serve.inputs import InputError

FOLDER = "code"
FILE = f"{FOLDER}/hooks.py"
REQUEST = "transform_request"
PROBABILITIES = "transform_probabilities"
ANSWER = "transform_answer"
NAMES = (REQUEST, PROBABILITIES, ANSWER)
PREFIX = "transform_"
# Of a user's function; sys.exit() in it, or in a library that it calls, must not end the server.
FAULTS = (Exception, SystemExit)

log = logging.getLogger(__name__)


class HookError(RuntimeError):
    """A fault of a user's function: one sentence."""


class Hooks:
    """The functions of one artifact. Without any, all pass through as they are."""

    def __init__(self, functions: dict[str, Callable[..., Any]] | None = None):
        # Any: what a user's function gives is checked.
        self._functions = functions or {}

    def request(self, body: bytes, content_type: str) -> tuple[bytes, str]:
        """The body and its content type. Raises InputError 400, HookError."""
        function = self._functions.get(REQUEST)
        if function is None:
            return body, content_type
        try:
            given = function(body, content_type)
        except ValueError as error:
            raise InputError(400, f"the request is refused: {printable(str(error))}") from error
        except FAULTS as error:
            raise _failed(REQUEST, error) from error
        match given:
            case (bytes() as changed, str() as changed_type):
                return changed, changed_type
        raise HookError(f"{FILE}: {REQUEST} must return the body (bytes) and its type (str)")

    def probabilities(
        self, values: NDArray[np.float32], classes: Sequence[str]
    ) -> NDArray[np.float32]:
        """One photo's probabilities, float32 [classes]. Raises HookError."""
        function = self._functions.get(PROBABILITIES)
        if function is None:
            return values
        try:
            given = np.asarray(function(values.copy(), list(classes)), np.float32)
        except FAULTS as error:
            raise _failed(PROBABILITIES, error) from error
        if given.shape != values.shape or not ((given >= 0) & (given <= 1)).all():
            raise HookError(
                f"{FILE}: {PROBABILITIES} must return {len(classes)} numbers from 0 to 1"
            )
        return given

    def answer(self, prediction: Prediction) -> Prediction:
        """The answer to one photo. Raises HookError."""
        function = self._functions.get(ANSWER)
        if function is None:
            return prediction
        try:
            given = function(prediction)
            # half of a surrogate pair is no text that an answer could hold
            json.dumps(given, allow_nan=False, ensure_ascii=False).encode()
        except FAULTS as error:
            raise _failed(ANSWER, error) from error
        if not isinstance(given, dict):
            raise HookError(f"{FILE}: {ANSWER} must return a dict")
        return cast(Prediction, given)


NO_HOOKS = Hooks()


def open_hooks(directory: Path, wanted: bool) -> Hooks:
    """The functions of the artifact in a folder. wanted: by SLIPWAY_HOOKS.

    Raises ArtifactError where its file cannot be used.
    """
    path = directory / FILE
    if not wanted:
        if (directory / FOLDER).is_dir():
            log.warning(
                "the artifact holds a folder '%s', whose programs do not run here; "
                "SLIPWAY_HOOKS=1 runs %s",
                FOLDER,
                FILE,
            )
        return NO_HOOKS
    if path.is_symlink() or not path.is_file():
        log.warning("SLIPWAY_HOOKS is set, and the artifact holds no file %s", FILE)
        return NO_HOOKS
    functions = _functions(_module(path))
    log.info("%s: %s", FILE, ", ".join(functions))
    return Hooks(functions)


def _module(path: Path) -> ModuleType:
    """The file as a module; it may import others of its folder."""
    specification = importlib.util.spec_from_file_location("slipway_hooks", path)
    if specification is None or specification.loader is None:
        raise ArtifactError(f"{FILE} cannot be loaded")
    module = importlib.util.module_from_spec(specification)
    sys.path.insert(0, str(path.parent))
    try:
        specification.loader.exec_module(module)
    except FAULTS as error:
        raise ArtifactError(f"{FILE} cannot be loaded: {_words(error)}") from error
    finally:
        sys.path.remove(str(path.parent))
    return module


def _functions(module: ModuleType) -> dict[str, Callable[..., Any]]:
    for name in vars(module):
        if name.startswith(PREFIX) and name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ArtifactError(f"{FILE} has '{name}', which is not called{hint}")
    functions = {name: vars(module)[name] for name in NAMES if callable(vars(module).get(name))}
    if not functions:
        raise ArtifactError(f"{FILE} defines none of {', '.join(NAMES)}")
    return functions


def _failed(name: str, error: BaseException) -> HookError:
    return HookError(f"{FILE}: {name} failed: {_words(error)}")


def _words(error: BaseException) -> str:
    """An error in one line, with the line of the user's file where it happened."""
    where = ""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(FILE):
            where = f" (line {trace.tb_lineno})"
        trace = trace.tb_next
    return printable(f"{type(error).__name__}: {error}{where}")[:300]
