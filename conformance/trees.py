"""The files of a folder, to find out what a program changed in it."""

from pathlib import Path


def files_of(folder: Path) -> dict[str, list[int]]:
    """[size in bytes, last change in ns] of every file, by its path below the folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            status = path.stat()
            found[str(path.relative_to(folder))] = [status.st_size, status.st_mtime_ns]
    return found


def changed(before: dict[str, list[int]], after: dict[str, list[int]]) -> list[str]:
    """The files that were added, changed or removed, sorted."""
    names = before.keys() | after.keys()
    return sorted(name for name in names if before.get(name) != after.get(name))
