"""Rows of one size, computed once and kept: for all processes of a machine, and for later runs.

A store is found by its key. It lies on the disk where it fits, else in memory for this run alone.
"""

import hashlib
import json
import logging
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from artifact.host.machine import memory_left, memory_limit
from artifact.model import write_atomically
from train.data.cache import (
    DEFAULT_LIMITS,
    MB,
    META_FILE,
    ROWS_FILE,
    UNFINISHED,
    CacheLimits,
    locked,
    make_room,
    remove,
    user_folder,
)
from train.data.row_stores import (
    MARK_BYTES,
    MARKS_FILE,
    DiskStore,
    MemoryStore,
    memory_promised,
    row_bytes,
)

FORMAT = 1

Store = DiskStore | MemoryStore

log = logging.getLogger(__name__)


def open_store(
    kind: str,
    key: Mapping[str, object],
    rows: int,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    limits: CacheLimits = DEFAULT_LIMITS,
) -> Store | None:
    """The store of `rows` rows of `shape` and `dtype`: an existing one, or a new one.

    kind: a word for the log. key: everything that the rows depend on, as JSON can hold it. Where
    the disk has no room or cannot be written, the store is in memory, for this process alone; None
    when it does not fit there either, or may not be there. One log line says which it is.
    """
    dtype = np.dtype(dtype)
    size = rows * (row_bytes(shape, dtype) + MARK_BYTES)
    if not rows:
        return MemoryStore(rows, shape, dtype)
    found = _open_on_disk(kind, key, rows, shape, dtype, limits)
    if isinstance(found, DiskStore):
        return found
    reason = found
    free = min(memory_limit() * limits.memory_share - memory_promised(), memory_left())
    megabytes = size / MB
    if limits.memory and size <= free:
        where = "in memory, for this run alone"
        log.info("store: %s, %d rows, %.0f MB, %s: %s", kind, rows, megabytes, where, reason)
        return MemoryStore(rows, shape, dtype)
    log.info("store: none for %s, %d rows, %.0f MB: %s", kind, rows, megabytes, reason)
    return None


def _open_on_disk(
    kind: str,
    key: Mapping[str, object],
    rows: int,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    limits: CacheLimits,
) -> DiskStore | str:
    """The store on the disk, or the reason why there is none."""
    identity = _identity(kind, key, rows, shape, dtype)
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    name = f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    size = rows * (row_bytes(shape, dtype) + MARK_BYTES)
    try:
        root = user_folder(limits)
        with locked(root):
            store = _find(root / name, identity, rows, shape, dtype)
            if store is None:
                reason = make_room(root, size, limits)
                if reason:
                    return reason
                store = _make(root / name, identity, rows, shape, dtype)
    except OSError as error:
        return error.strerror or str(error)
    log.info(
        "store: %s, %d of %d rows are there, %.0f MB, in '%s'",
        name,
        store.filled(),
        rows,
        size / MB,
        root,
    )
    return store


def _identity(
    kind: str,
    key: Mapping[str, object],
    rows: int,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
) -> object:
    """What identifies this store among all others, as JSON reads it back."""
    identity = {
        "format": FORMAT,
        "kind": kind,
        "key": key,
        "rows": rows,
        "shape": shape,
        "dtype": np.lib.format.dtype_to_descr(dtype),
    }
    return json.loads(json.dumps(identity))


def _find(
    folder: Path, identity: object, rows: int, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> DiskStore | None:
    """The store in a folder; None when there is none, or a damaged one, which is removed.

    OSError when another machine has it open.
    """
    if not os.path.lexists(folder):
        return None
    try:
        meta = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
        if not isinstance(meta, dict) or meta.get("identity") != identity:
            raise ValueError("its content is another's")
        store = DiskStore(folder, rows, shape, dtype)
    except (ValueError, OSError) as error:
        log.warning("store: %s is damaged (%s); it is made anew", folder.name, error)
        remove(folder)
        return None
    boot = _boot_id()
    if meta.get("boot") != boot:
        store.doubt()
        _write_meta(folder, identity, boot)
    os.utime(folder / META_FILE)
    return store


def _make(
    folder: Path, identity: object, rows: int, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> DiskStore:
    """A new store, all its blocks reserved. OSError when the disk is full.

    It gets its name when it is whole, so a killed process leaves no half a store under it.
    """
    unfinished = folder.with_name(f"{UNFINISHED}-{folder.name}")
    unfinished.mkdir(mode=0o700)
    try:
        _reserve(unfinished / ROWS_FILE, rows * row_bytes(shape, dtype))
        _reserve(unfinished / MARKS_FILE, rows * MARK_BYTES)
        _write_meta(unfinished, identity, _boot_id())
        unfinished.rename(folder)
    except BaseException:
        remove(unfinished)
        raise
    return DiskStore(folder, rows, shape, dtype)


def _reserve(path: Path, size: int) -> None:
    """A new file whose blocks are allocated: a full disk shows now, not in the middle of a run."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(handle, 0, size)
    finally:
        os.close(handle)


def _write_meta(folder: Path, identity: object, boot: str) -> None:
    text = json.dumps({"identity": identity, "boot": boot}, indent=2) + "\n"
    write_atomically(folder / META_FILE, text.encode())


def _boot_id() -> str:
    """Text that changes when the machine starts."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return uuid.uuid4().hex  # unknown: every opening doubts all rows
