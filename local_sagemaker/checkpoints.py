"""The checkpoints of a host, kept in step with S3: fetched before a start, and sent on as they come, change and go."""

import threading
from pathlib import Path

from local_sagemaker import objects

EVERY_S = 3.0  # the platform names no number


class Checkpoints:
    """One host's folder and its S3 prefix. A file deleted here is deleted there if this host had sent it."""

    def __init__(self, folder: Path, uri: str) -> None:
        self._folder, self._uri = folder, uri
        self._sent: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def fetch(self) -> int:
        """What S3 has; how many files. ObjectError when it cannot be read."""
        count = objects.fetch_all(self._uri, self._folder)
        self._sent = self._stamps()
        return count

    def send(self) -> None:
        """What is new, changed or gone since the last time. ObjectError when S3 does not take it."""
        with self._lock:
            now = self._stamps()
            for name, stamp in list(now.items()):
                if self._sent.get(name) == stamp:
                    continue
                try:
                    objects.put(self._folder / name, objects.joined(self._uri, name))
                except objects.ObjectError:
                    if (self._folder / name).exists():
                        raise
                    now.pop(name)  # the training took it away meanwhile: it keeps few
            for name in self._sent.keys() - now.keys():
                objects.remove(objects.joined(self._uri, name))
            self._sent = now

    def _stamps(self) -> dict[str, tuple[int, int]]:
        """Size and time of change of each file; those still being written under a temporary name are left out."""
        stamps = {}
        for path in self._folder.rglob("*"):
            try:
                if path.is_file() and path.suffix not in (".tmp", ".part", ".slipway-tmp"):
                    found = path.stat()
                    stamps[str(path.relative_to(self._folder))] = (found.st_size, found.st_mtime_ns)
            except FileNotFoundError:
                continue
        return stamps
