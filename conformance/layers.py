"""What is in an image, layer by layer, by one pass over `docker save`.

A file that a later layer hides is still in the image, so it is found, too.
"""

import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from runtime import docker
from runtime.errors import RunError

BLOCK = 2**20  # bytes that are read at once
SMALL = 64 * 1024  # bytes; files of at most this size are read
# how a layer says that a file, or all earlier content of a folder, is gone
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
# files of the archive that are not layers
NO_LAYERS = (".json", "VERSION", "oci-layout", "repositories")


@dataclass(frozen=True)
class File:
    """One entry of a layer.

    layer: its number, counted from the base up; size: in bytes; content: of small files, and of
    files that were asked for.
    """

    layer: int
    path: str
    size: int
    is_file: bool
    is_folder: bool = False
    content: bytes = b""


def small_only(path: str) -> bool:
    """Ask for no further file's content."""
    return False


def files(image: str, wanted: Callable[[str], bool] = small_only) -> Iterator[File]:
    """All entries of all layers. RunError where the engine fails.

    wanted: whether to read a file of this path that is not small.
    """
    number = 0
    try:
        with (
            docker.saved_image(image) as stream,
            tarfile.open(fileobj=stream, mode="r|", bufsize=BLOCK) as archive,
        ):
            for member in archive:
                # links cannot be followed in a stream; they name layers that come by themselves
                if not member.isfile() or member.name.endswith(NO_LAYERS):
                    continue
                content = archive.extractfile(member)
                assert content is not None  # it is a file
                layer = list(_layer(content, number, wanted))
                number += bool(layer)
                yield from layer
    except tarfile.TarError as error:
        raise RunError(f"docker save {image} failed: {error}") from error


def present(image: str, pattern: str) -> dict[str, bytes]:
    """Files of the finished image whose paths match, without those that later layers removed."""
    found: dict[str, bytes] = {}
    expression = re.compile(pattern)

    def matches(path: str) -> bool:
        return bool(expression.search(path))

    for file in files(image, matches):
        gone = taken_away(file.path)
        if gone is not None:
            below = f"{gone}/"
            found = {
                path: content for path, content in found.items() if not f"{path}/".startswith(below)
            }
        elif file.is_file and matches(file.path):
            found[file.path] = file.content
    return found


def taken_away(path: str) -> str | None:
    """The path that a layer's entry removes, with all below it, from the layers before.

    None where the entry is a file or folder of its own.
    """
    folder, _, name = path.rpartition("/")
    if not name.startswith(WHITEOUT):
        return None
    if name == OPAQUE:
        return folder
    return f"{folder}/{name.removeprefix(WHITEOUT)}".lstrip("/")


def _layer(stream: IO[bytes], number: int, wanted: Callable[[str], bool]) -> Iterator[File]:
    """The entries of one layer. An OCI archive's configuration, which is not a tar, has none."""
    try:
        with tarfile.open(fileobj=stream, mode="r|*", bufsize=BLOCK) as layer:
            for member in layer:
                path = member.name.removeprefix("./").strip("/")
                content = b""
                if member.isfile() and (member.size <= SMALL or wanted(path)):
                    content = _content(layer, member)
                yield File(number, path, member.size, member.isfile(), member.isdir(), content)
    except tarfile.ReadError:
        return


def _content(layer: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = layer.extractfile(member)
    return stream.read() if stream else b""
