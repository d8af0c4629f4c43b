"""Which folders of this machine may stand in for S3: those below a root, links resolved.

Roots are the folder that the server was started in, and each --root.
"""

import os
from collections.abc import Iterable
from pathlib import Path

SCHEME = "file://"
_roots: list[Path] = [Path.cwd().resolve()]  # of this process: objects are read in many places


def is_folder(uri: str) -> bool:
    """Whether it is a folder or file of this machine rather than S3's."""
    return uri.startswith((SCHEME, "/"))


def allow(roots: Iterable[Path]) -> None:
    """Take these roots in place of the earlier ones."""
    _roots[:] = [root.resolve() for root in roots]


def folder_fault(uri: str) -> str:
    """Why no file can be read or written there; "" where it can, or where it is S3's."""
    if is_folder(uri):
        try:
            path_of(uri)
        except PermissionError as error:
            return str(error)
    return ""


def path_of(uri: str) -> Path:
    """The path of file:///folder or /folder, without links. PermissionError outside all roots."""
    path = Path(uri.removeprefix(SCHEME))
    if not path.is_absolute() or ".." in path.parts or "\0" in uri:
        raise PermissionError(f"{uri!r} must be file:///folder, without '..'")
    real = Path(os.path.realpath(path))
    if not any(real.is_relative_to(root) for root in _roots):
        raise PermissionError(
            f"'{real}' is not below {' or '.join(map(str, _roots))}; "
            "start the server with --root FOLDER to let it use another folder"
        )
    return real
