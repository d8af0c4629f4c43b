"""Reads lists of labels, row by row: CSV in any of its kinds, JSON lines, one JSON document.

It knows nothing of photos or of what the columns mean.
"""

import codecs
import csv
import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from artifact.text.json_text import MOST_IN_LISTS, read_json
from prepare.scan import PrepareError

JSON_LINES = (".jsonl", ".manifest", ".ndjson")
LIST_SUFFIXES = (".csv", ".tsv", ".json", *JSON_LINES)  # that are looked for beside photos
OTHER_SUFFIXES = (".lst", ".txt")  # where none of those is there; .lst is of MXNet
DELIMITERS = ",;\t|"
EXCEL = re.compile(r'"?sep=(.)"?')  # a first line that names the delimiter
MAX_DOCUMENT_BYTES = 1 << 30
CHUNK_BYTES = 1 << 20
LINE_LETTERS = 1_000_000
MOST_COLUMNS = 20_000  # some lists have one for each class; each row has all of them
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
Row = dict[str, object]


@dataclass(frozen=True)
class ListError:
    """A row that cannot be read."""

    reason: str


NumberedRow = tuple[int, Row | ListError]  # the line that it ends on, from 1


def rows_of(path: Path, is_photo: Callable[[str], bool]) -> Iterator[NumberedRow]:
    """The rows of a list, each with the names of its columns.

    is_photo: whether a text names a photo; a first row that does is no header. PrepareError for a
    file that is no list at all.
    """
    if path.stat().st_size > MAX_DOCUMENT_BYTES:
        raise PrepareError(f"the list '{path}' has more than 1 GB")
    encoding = _encoding(path)
    if path.suffix.lower() == ".json" and not _is_json_lines(path, encoding):
        return _document_rows(path, encoding)
    if path.suffix.lower() in (*JSON_LINES, ".json") or _starts_with_object(path, encoding):
        return _json_lines(path, encoding)
    return _csv_rows(path, encoding, is_photo)


def _encoding(path: Path) -> str:
    """By its first bytes; Windows-1252, as Excel writes, for what is not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        chunk = file.read(CHUNK_BYTES)
        for bom, encoding in BOMS:
            if chunk.startswith(bom):
                return encoding
        try:
            while chunk:
                decoder.decode(chunk)
                chunk = file.read(CHUNK_BYTES)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


def _starts_with_object(path: Path, encoding: str) -> bool:
    with path.open(encoding=encoding, errors="replace") as file:
        return file.read(1) == "{"


def _is_json_lines(path: Path, encoding: str) -> bool:
    """Whether the first line is a whole object, and not the only one."""
    with path.open(encoding=encoding, errors="replace") as file:
        first = file.readline(CHUNK_BYTES)
        more = file.readline(CHUNK_BYTES).strip()
    try:
        return bool(more) and isinstance(read_json(first), dict)
    except ValueError:
        return False


def _json_lines(path: Path, encoding: str) -> Iterator[NumberedRow]:
    with path.open(encoding=encoding, errors="replace") as file:
        for number, line in enumerate(_lines(path, file), start=1):
            if line.strip():
                yield number, _object(line)


def _lines(path: Path, file: TextIO) -> Iterator[str]:
    """A list's lines, which memory holds whole. PrepareError for one that is far too long."""
    number = 0
    while line := file.readline(LINE_LETTERS + 1):
        number += 1
        if len(line) > LINE_LETTERS:
            raise PrepareError(
                f"line {number} of the list '{path}' has more than {LINE_LETTERS:,} letters"
            )
        yield line


def _object(line: str) -> Row | ListError:
    try:
        value = read_json(line)
    except ValueError as error:
        return ListError(f"it is not JSON ({error})")
    if not isinstance(value, dict):
        return ListError("it is not a JSON object")
    return value


def _document_rows(path: Path, encoding: str) -> Iterator[NumberedRow]:
    """A list of objects, or an object of photos and their labels."""
    try:
        value = read_json(path.read_text(encoding=encoding), MOST_IN_LISTS)
    except ValueError as error:
        raise PrepareError(f"the list '{path}' is not JSON ({error})") from error
    if isinstance(value, dict):
        value = _of_object(path, value)
    if not isinstance(value, list):
        raise PrepareError(f"the list '{path}' holds no list of photos")
    for number, row in enumerate(value, start=1):
        yield number, row if isinstance(row, dict) else ListError("it is not a JSON object")


def _of_object(path: Path, value: Row) -> list[Row]:
    """Rows of an object: photo to label, pairs of these under "labels", or COCO's tables."""
    if isinstance(value.get("annotations"), list) and isinstance(value.get("images"), list):
        return _coco_rows(path, value)
    pairs = value.get("labels")
    if len(value) == 1 and isinstance(pairs, list):
        value = {as_text(pair[0]): pair[1] for pair in pairs if isinstance(pair, list) and pair[1:]}
    return [{"photo": photo, "label": label} for photo, label in value.items()]


def _coco_rows(path: Path, value: Row) -> list[Row]:
    """A row for each annotation of a whole photo. PrepareError for boxes."""
    tables = {name: _by_id(value.get(name)) for name in ("images", "categories")}
    rows: list[Row] = []
    for found in _objects(value["annotations"]):
        if found.get("bbox") or found.get("segmentation"):
            raise PrepareError(f"the list '{path}' holds boxes (COCO), not labels of whole photos")
        photo = tables["images"].get(as_text(found.get("image_id")), {})
        category = as_text(found.get("category_id"))
        label = tables["categories"].get(category, {}).get("name", category)
        rows.append({"photo": photo.get("file_name", ""), "label": label})
    return rows


def _by_id(table: object) -> dict[str, Row]:
    return {as_text(row.get("id")): row for row in _objects(table)}


def _objects(table: object) -> list[Row]:
    return [row for row in table if isinstance(row, dict)] if isinstance(table, list) else []


def _csv_rows(path: Path, encoding: str, is_photo: Callable[[str], bool]) -> Iterator[NumberedRow]:
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        first = file.readline(CHUNK_BYTES)
        told = EXCEL.fullmatch(first.strip())
        if told is None:
            file.seek(0)
        delimiter = told[1] if told else _delimiter(path, first)
        reader = csv.reader(_lines(path, file), delimiter=delimiter, skipinitialspace=True)
        columns: list[str] = []
        try:
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) > MOST_COLUMNS:
                    raise PrepareError(
                        f"line {reader.line_num} of the list '{path}' has more than "
                        f"{MOST_COLUMNS:,} columns"
                    )
                if not columns:
                    columns = _column_names(cells)
                    if not any(is_photo(cell) for cell in cells):
                        continue
                    columns = _column_names([""] * len(cells))
                yield reader.line_num, _cells(columns, cells)
        except csv.Error as error:
            raise PrepareError(
                f"the list '{path}' cannot be read after line {reader.line_num} ({error})"
            ) from error


def _column_names(cells: list[str]) -> list[str]:
    """A column without a name, such as pandas' index, gets its number for one."""
    return [cell.strip() or f"column {number}" for number, cell in enumerate(cells, start=1)]


def _cells(columns: list[str], cells: list[str]) -> Row | ListError:
    if len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :]):
        return ListError(f"it has {len(cells)} columns, and the first line {len(columns)}")
    return dict(itertools.zip_longest(columns, (cell.strip() for cell in cells), fillvalue=""))


def _delimiter(path: Path, first: str) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    best = max(DELIMITERS, key=first.count)
    if first.count(best):
        return best
    return " " if path.suffix.lower() != ".csv" else ","


def as_text(value: object) -> str:
    """A cell as text: JSON's own words for what is no text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
