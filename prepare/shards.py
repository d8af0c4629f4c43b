"""The two steps of a preparation on several machines: shards decode, one join does the rest.

A shard is a folder: photos/ holds its verified photos, and two files beside it say what they are.
Shards of one preparation lie in one folder, or in folders of it: no two of their files have the
same name. Only the join writes a split, lists and the report.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

from artifact.folders.photo_tree import PassedBy
from artifact.model import write_atomically
from artifact.text.json_text import MOST_IN_LISTS, read_json
from prepare.convert import Photo
from prepare.converted import Converted, stamp
from prepare.options import Options
from prepare.scan import PrepareError, Scan, Source
from prepare.signature import read_signatures, signatures_file
from prepare.sources import find_photos
from prepare.workers import convert_all, staged

PHOTOS_FOLDER = "photos"
SHARD_PREFIX = "shard-"
VERSION = 2


def write_shard(options: Options) -> Converted:
    """Decode this part of the sources into the destination. PrepareError or OSError on failure."""
    folder = options.destination
    _refuse_foreign(folder)
    found = find_photos(options)
    number, parts = options.part
    own = found.sources[number - 1 :: parts]
    # each machine sees all other files: the first alone counts them
    passed = found.passed if number == 1 else PassedBy()
    photos, broken = convert_all(options, own, folder / PHOTOS_FOLDER)
    stamps = {source.path: stamp(options.source / source.path) for source in own}
    values = {
        "version": VERSION,
        "photos": [[*astuple(source), photo.as_dict()] for source, photo in photos.items()],
        "stamps": stamps,
        "broken": [[*astuple(source), reason] for source, reason in broken.items()],
        "passed": _passed_words(passed),
        "said": found.said,
    }
    name = SHARD_PREFIX + _name(own)
    signatures = signatures_file(photo.signature for photo in photos.values())
    write_atomically(folder / f"{name}.npy", signatures, folder)
    # last: a shard that was interrupted has no list
    write_atomically(folder / f"{name}.json", (json.dumps(values) + "\n").encode(), folder)
    return Converted(stamps, {}, photos, broken, Scan(own, passed, found.said))


def read_shards(folder: Path, staging: Path) -> Converted:
    """What all shards below the folder hold; their photos are copied into the staging folder.

    PrepareError for a folder without shards, or with shards that do not fit together.
    """
    lists = sorted(folder.rglob(f"{SHARD_PREFIX}*.json"))
    if not lists:
        raise PrepareError(
            f"'{folder}' holds no shards; write them with --step shard and give their folder"
        )
    staging.mkdir(parents=True)
    found = Converted({}, {}, {}, {}, Scan([]))
    said: dict[str, None] = {}
    for path in lists:
        said |= dict.fromkeys(_read_shard(path, staging, found))
    sources = sorted([*found.new, *found.broken])
    splits = {source.split is not None for source in sources}
    if len(splits) > 1:
        raise PrepareError(
            "some shards have a split of their own and others have none; let each machine see the "
            "whole folder, and give each its part by --part"
        )
    return replace(found, found=Scan(sources, found.found.passed, tuple(said)))


def _read_shard(path: Path, staging: Path, found: Converted) -> list[str]:
    """Add a shard to what was found; the sentences on its layout."""
    try:
        values = read_json(path.read_text(), MOST_IN_LISTS)
        if values["version"] != VERSION:
            raise ValueError(f"version {values['version']}")
        signatures = read_signatures(path.with_suffix(".npy"))
        photos = {
            _source(words): Photo.from_dict(fields, signatures[row].tobytes())
            for row, (*words, fields) in enumerate(values["photos"])
        }
        broken = {_source(words): reason for *words, reason in values["broken"]}
        passed = _passed(values["passed"])
        said: list[str] = values["said"]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise PrepareError(f"'{path}' is not a whole shard ({error}); write it again") from error
    twice = [source.path for source in [*photos, *broken] if source.path in found.stamps]
    if twice:
        raise PrepareError(
            f"'{path}' holds '{twice[0]}', and so does another shard; write all shards anew, each "
            "into a new folder"
        )
    for source in photos:
        original = staged(path.parent / PHOTOS_FOLDER, source)
        _link_or_copy(original, staged(staging, source))
    found.stamps.update(values["stamps"])
    found.new.update(photos)
    found.broken.update(broken)
    found.found.passed.update(passed)
    return said


def _source(words: list[Any]) -> Source:
    """A source as it was before JSON, which has no tuples."""
    path, label, split, also, group = words
    return Source(path, label, split, tuple(also), group)


def _passed_words(passed: PassedBy) -> dict[str, object]:
    """What was passed by, as JSON takes it."""
    return {**vars(passed), "kinds": [[*words, count] for words, count in passed.kinds.items()]}


def _passed(values: dict[str, Any]) -> PassedBy:
    kinds = Counter({(kind, word): count for kind, word, count in values["kinds"]})
    return PassedBy(**{**values, "kinds": kinds})


def _link_or_copy(original: Path, copy: Path) -> None:
    """The shard stays whole: it may be joined again."""
    try:
        os.link(original, copy)
    except FileNotFoundError as error:
        raise PrepareError(
            f"'{original}' is missing; copy the whole shards, and join them again"
        ) from error
    except OSError:  # another disk, or one without links
        shutil.copyfile(original, copy)


def _refuse_foreign(folder: Path) -> None:
    """PrepareError where the folder holds other files than shards."""
    if not folder.is_dir():
        return
    for name in sorted(os.listdir(folder)):
        if name != PHOTOS_FOLDER and not name.startswith(SHARD_PREFIX):
            raise PrepareError(
                f"the destination '{folder}' holds '{name}', which is no part of a shard; "
                "give a new or empty folder"
            )


def _name(sources: list[Source]) -> str:
    """A name that no shard with other sources has."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(os.fsencode(source.path) + b"\0")
    return digest.hexdigest()[:16]
