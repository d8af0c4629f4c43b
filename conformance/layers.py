"""What is in an image, layer by layer, by one pass over `docker save`: what a later layer hides is still in it."""

import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runtime import docker
from runtime.errors import RunError

BLOCK = 2**20
SMALL = 64 * 1024  # bytes of files that are read
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"


@dataclass(frozen=True)
class File:
    """One entry of a layer. layer: its number, in the order that they come in; content: of small files, and of those that were asked for."""

    layer: int
    path: str
    size: int
    is_file: bool
    is_folder: bool = False
    content: bytes = b""


def files(image: str, wanted: Callable[[str], bool] = lambda path: False) -> Iterator[File]:
    """All entries of all layers. wanted: whether a file is read whole, by its path. RunError when the engine fails."""
    try:
        number = 0
        with (
            docker.saved_image(image) as stream,
            tarfile.open(fileobj=stream, mode="r|", bufsize=BLOCK) as archive,
        ):
            for member in archive:
                if member.isfile() and not member.name.endswith(
                    (".json", "VERSION", "oci-layout", "repositories")
                ):
                    layer = list(_layer(archive.extractfile(member), number, wanted))
                    number += bool(layer)
                    yield from layer
    except tarfile.TarError as error:
        raise RunError(f"docker save {image} failed: {error}") from error


def present(image: str, pattern: str) -> dict[str, bytes]:
    """The files of the finished image whose paths match, without what later layers took away or put in their place."""
    found: dict[str, bytes] = {}
    expression = re.compile(pattern)
    for file in files(image, lambda path: bool(expression.search(path))):
        if (gone := taken_away(file.path)) is not None:
            found = {
                path: content
                for path, content in found.items()
                if not f"{path}/".startswith(f"{gone}/")
            }
        elif file.is_file and expression.search(file.path):
            found[file.path] = file.content
    return found


def taken_away(path: str) -> str | None:
    """What a layer's entry takes away of the layers before it, and all below that; None when it is an entry of its own."""
    folder, _, name = path.rpartition("/")
    if not name.startswith(WHITEOUT):
        return None
    return folder if name == OPAQUE else f"{folder}/{name.removeprefix(WHITEOUT)}".lstrip("/")


def _layer(stream, number: int, wanted: Callable[[str], bool]) -> Iterator[File]:
    """The entries of one layer; none for what is no tar, such as a configuration among an OCI archive's blobs."""
    try:
        with tarfile.open(fileobj=stream, mode="r|*", bufsize=BLOCK) as layer:
            for member in layer:
                path = member.name.removeprefix("./").strip("/")
                read = member.isfile() and (member.size <= SMALL or wanted(path))
                yield File(
                    number,
                    path,
                    member.size,
                    member.isfile(),
                    member.isdir(),
                    layer.extractfile(member).read() if read else b"",
                )
    except tarfile.ReadError:
        return
