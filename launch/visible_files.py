"""The files of a folder that may leave this machine: regular ones inside it, none hidden."""

import os
from pathlib import Path

from artifact.text.names import is_text, printable
from launch.errors import LaunchError


def visible_files(folder: Path) -> list[Path]:
    """All files below a folder, by path, without hidden files and folders.

    LaunchError for anything but regular files, and for a link out of the folder or to a folder
    around itself: the data of this machine that nobody named would be sent.
    """
    inside = folder.resolve()
    found = []
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in folders:
            check_link(Path(parent) / name, inside)
        for name in names:
            if name.startswith("."):
                continue
            path = Path(parent) / name
            check_link(path, inside)
            if not path.is_file():
                raise LaunchError(f"'{printable(path)}' is not a regular file; take it away")
            if not is_text(str(path.relative_to(folder))):
                raise LaunchError(
                    f"'{printable(path)}' has a name that is not UTF-8, as S3's keys are; rename it"
                )
            found.append(path)
    return sorted(found)


def check_link(path: Path, inside: Path) -> None:
    """LaunchError for a link that leads out of `inside`, to nothing, or to a folder around it."""
    if not path.is_symlink():
        return
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: Python 3.11's for a loop
        raise LaunchError(f"'{printable(path)}' is a link to nothing; take it away") from error
    if not target.is_relative_to(inside):
        raise LaunchError(
            f"'{printable(path)}' is a link out of the folder, to '{printable(target)}'; only what "
            "lies in the folder is sent: put a copy in the link's place"
        )
    if path.parent.resolve().is_relative_to(target):
        raise LaunchError(f"'{printable(path)}' is a link to a folder around it; take it away")
