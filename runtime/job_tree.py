"""Files of a job's tree, which a container may have filled with links to the machine's own files.

In the container a link such as /etc/passwd leads to the container's file; out here the same link
leads to the machine's. So no link out of the tree is ever followed; one within it is.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MOST_FAILURE_BYTES = 64 * 1024  # of output/failure: SageMaker keeps 1,024 characters


class OutwardLink(OSError):
    """A name in a tree that leads out of it, or is no ordinary file; the text names it."""


def open_inside(root: Path, name: str | Path) -> BinaryIO:
    """An ordinary file of a tree, to read, while a container may still change the tree.

    root: the tree's own folder, which no container can replace. OutwardLink for a name that leads
    out of it; OSError for a file that cannot be read.
    """
    base = Path(os.path.realpath(root))
    real = Path(os.path.realpath(base / name))
    if real == base or not real.is_relative_to(base):
        raise OutwardLink(f"'{name}' leads out of '{root}'")
    # The real path has no link. A link that is put there now is refused by O_NOFOLLOW.
    *folders, last = real.relative_to(base).parts
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(base, flags | os.O_DIRECTORY)
    try:
        for folder in folders:
            inner = os.open(folder, flags | os.O_DIRECTORY, dir_fd=handle)
            os.close(handle)
            handle = inner
        # O_NONBLOCK: opening a FIFO would wait for a writer
        file = os.open(last, flags | os.O_NONBLOCK, dir_fd=handle)
    finally:
        os.close(handle)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OutwardLink(f"'{name}' is no ordinary file")
    return open(file, "rb")


def read_inside(root: Path, name: str | Path, most: int) -> bytes | None:
    """The first bytes of a file of a tree; None without the file, or where it leads out."""
    try:
        with open_inside(root, name) as file:
            return file.read(most)
    except OSError:
        return None


def failure(root: Path) -> str:
    """The reason that a training left in output/failure; "" without one. root: its /opt/ml."""
    content = read_inside(root, "output/failure", MOST_FAILURE_BYTES) or b""
    return content.decode("utf-8", errors="replace").strip()


def files_inside(root: Path, part: str | Path = "") -> Iterator[str]:
    """Names of the ordinary files in a part of a tree, below that part, sorted.

    A name is only a name: between this and `open_inside` a container may put a link there.
    """
    for name, mode in sorted(entries_inside(root, part)):
        if stat.S_ISREG(mode):
            yield name


def entries_inside(root: Path, part: str | Path = "") -> Iterator[tuple[str, int]]:
    """Names in a part of a tree with the mode of what each leads to, unless that lies outside."""
    base = os.path.realpath(root)
    start = Path(os.path.realpath(root / part))
    if not start.is_relative_to(base):
        return
    for place, folders, files in os.walk(start):
        for entry in folders + files:
            path = Path(place, entry)
            real = Path(os.path.realpath(path))
            try:
                mode = real.lstat().st_mode
            except OSError:  # a link to nothing, or gone in the meantime
                continue
            leads_nowhere = stat.S_ISLNK(mode)  # such as a link to itself
            if real.is_relative_to(base) and not leads_nowhere:
                yield str(path.relative_to(start)), mode


def drop_outward_links(root: Path) -> None:
    """Take all links that lead out of a tree away. OSError where one stays.

    For a tree that no container changes any more: afterwards it can be read as any folder.
    """
    base = os.path.realpath(root)
    for place, folders, files in os.walk(root):
        for entry in folders + files:
            path = Path(place, entry)
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(base):
                path.unlink()
