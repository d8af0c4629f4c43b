"""A body as its photos, record by record. A record is what gets one answer.

In batch transform with SplitType Line a record is a line. SageMaker sends one record in a body, or
with BatchStrategy MultiRecord as many as fit, each on a line of its own, under any content type.
"""

import io
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple, TypeVar

from serve.inputs import (
    FORM_TYPE,
    INSTANCE,
    INSTANCES,
    JSON_TYPE,
    LINES_TYPE,
    MAX_INSTANCES,
    InputError,
    files_of_form,
    json_of,
    photo_of,
)

# JSON takes up to 25 times its size in memory; bodies above this are parsed one after the other.
LARGE_BYTES = 500_000
LOOKED_AT = 100  # lines, to tell several documents from one over many lines

_parsing = Lock()
Item = TypeVar("Item")


class Line(NamedTuple):
    """A line of a body. number: from 1."""

    number: int
    text: bytes


@dataclass(frozen=True)
class Part:
    """A photo of a body, or the error in its place.

    place: for sentences, such as "line 3: ". is_last: of its record.
    """

    photo: bytes | Exception
    place: str = ""
    is_last: bool = True


@dataclass(frozen=True)
class Records:
    """parts: of the body, in order; at least one. by_line: each line is a record."""

    parts: Iterable[Part]
    by_line: bool = False


def records_of(
    media_type: str,
    content_type: str,
    body: bytes,
    tolerant: bool = False,
    most: int | None = MAX_INSTANCES,
) -> Records:
    """The records of a body. media_type: of its content type.

    most: photos of a body; None for any number, whose parts are read as they are asked for.
    tolerant: of batch transform. The error of one record stands in its place, and several JSON
    documents, each on a line, are several records.

    Raises InputError 413 for more than `most`, 400 for a body that is not of its type. With
    tolerant, only where its records cannot be counted.
    """
    is_large = media_type in (JSON_TYPE, LINES_TYPE) and len(body) > LARGE_BYTES
    with _parsing if is_large else nullcontext():
        return _records(media_type, content_type, body, tolerant, most)


def _records(
    media_type: str, content_type: str, body: bytes, tolerant: bool, most: int | None
) -> Records:
    if not body:
        empty = InputError(400, f"the body is empty; send a photo as {media_type}")
        if not tolerant:
            raise empty
        return Records([Part(empty)])
    if media_type == FORM_TYPE:
        return Records(_instances(files_of_form(content_type, body), lambda file: file, tolerant))
    if media_type == LINES_TYPE:
        return _by_line(body, tolerant, most)
    if media_type != JSON_TYPE:
        return Records([Part(body)])
    try:
        entries = _entries(body, most)
    except InputError as error:
        return _without_document(body, error, tolerant)
    # One after the other, so that few photos are in memory twice.
    parts = _instances(entries, photo_of, tolerant)
    return Records(parts if most is None else list(parts))


def _without_document(body: bytes, error: InputError, tolerant: bool) -> Records:
    """Of a JSON body that is not one document with photos: its lines, or one record in error."""
    some = list(itertools.islice(_filled_lines(body), LOOKED_AT))
    if len(some) > 1 and _are_documents(some):
        if tolerant:
            return Records(_documents(body), by_line=True)
        raise InputError(
            400, f"the body holds several JSON documents; send them as {LINES_TYPE}"
        ) from error
    if tolerant and len(some) == 1:
        return Records([Part(error)])
    raise error


def _by_line(body: bytes, tolerant: bool, most: int | None) -> Records:
    if not body.strip():
        empty = InputError(400, f"the body holds no line; send one {INSTANCE} per line")
        if not tolerant:
            raise empty
        return Records([Part(empty)])
    if most is not None:
        _check_count(len(list(itertools.islice(_filled_lines(body), most + 1))), most, "lines")
    parts = _lines(body, tolerant)
    return Records(parts if most is None else list(parts), by_line=tolerant)


def _filled_lines(body: bytes) -> Iterator[Line]:
    for number, line in enumerate(io.BytesIO(body), 1):
        if line.strip():
            yield Line(number, line)


def _lines(body: bytes, tolerant: bool) -> Iterator[Part]:
    """A part per line of JSON Lines, which holds one photo."""
    place_of = _places(body, tolerant)
    for line in _filled_lines(body):
        place = place_of(line.number)
        yield Part(_taken(line.text, _photo_of_line, place, tolerant), place)


def _photo_of_line(line: bytes) -> bytes:
    document = json_of(line, f"send one {INSTANCE} per line")
    if isinstance(document, dict):
        instances = document.get("instances")
        if isinstance(instances, list) and len(instances) == 1:
            document = instances[0]
    return photo_of(document)


def _documents(body: bytes) -> Iterator[Part]:
    """The parts of a document per line, each with any number of photos."""
    place_of = _places(body, True)
    for line in _filled_lines(body):
        place = place_of(line.number)
        try:
            entries = _entries(line.text, None)
        except InputError as error:
            yield Part(InputError(error.status, f"{place}{error}"), place)
            continue
        for index, entry in enumerate(entries):
            where = place if len(entries) == 1 else f"{place}instance {index}: "
            photo = _taken(entry, photo_of, where, True)
            yield Part(photo, where, is_last=index == len(entries) - 1)


def _are_documents(lines: list[Line]) -> bool:
    """Whether these lines are documents, some of which may be broken, and not parts of one.

    Of a document over many lines only its last entry can be a document by itself.
    """
    whole = sum(_is_document(line.text) for line in lines)
    return 2 * whole >= len(lines)


def _is_document(line: bytes) -> bool:
    try:
        return isinstance(json_of(line, ""), dict | list)
    except InputError:
        return False


def _places(body: bytes, tolerant: bool) -> Callable[[int], str]:
    """The words for a line, by its number in the body."""
    if not tolerant:
        return lambda number: f"line {number}: "
    if len(list(itertools.islice(_filled_lines(body), 2))) == 1:
        return lambda number: ""
    # SageMaker made this body out of a file, whose lines have other numbers.
    return lambda number: f"line {number} of its request: "


def _entries(body: bytes, most: int | None) -> list[object]:
    """The photos' entries in {"instances": […]}, in a bare list, or in one object."""
    document = json_of(body, f"send {INSTANCES}")
    if isinstance(document, dict):
        if "instances" in document:
            document = document["instances"]
        elif "b64" in document:
            document = [document]
    if not isinstance(document, list) or not document:
        raise InputError(400, f"the JSON holds no list of instances; send {INSTANCES}")
    _check_count(len(document), most, "instances")
    return document


def _instances(items: list[Item], photo: Callable[[Item], bytes], tolerant: bool) -> Iterator[Part]:
    for index, item in enumerate(items):
        place = f"instance {index}: "
        shown = place if len(items) > 1 else ""
        yield Part(_taken(item, photo, place, tolerant), shown)


def _taken(
    item: Item, photo: Callable[[Item], bytes], place: str, tolerant: bool
) -> bytes | InputError:
    """An item's photo. With tolerant, its error."""
    try:
        return photo(item)
    except InputError as error:
        refused = InputError(error.status, f"{place}{error}")
        if not tolerant:
            raise refused from error
        return refused


def _check_count(count: int, most: int | None, name: str) -> None:
    if most is not None and count > most:
        raise InputError(413, f"the body holds more than {most} {name}; send fewer at once")
