"""The checkpoints of a host, kept in step with S3.

They are fetched before a start, and sent on as they come, change and go.
"""

import threading
from pathlib import Path

from local_sagemaker import objects

EVERY_S = 3.0  # between two sends; SageMaker's guide has no number for it
TEMPORARY = (".tmp", ".part", ".slipway-tmp")  # suffixes of files that are still being written


class Checkpoints:
    """One host's folder and its S3 prefix.

    A file that is deleted here is deleted there if this host had sent it.
    """

    def __init__(self, folder: Path, uri: str) -> None:
        self._folder = folder
        self._uri = uri
        self._sent: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def fetch(self) -> int:
        """Fetch what S3 has; the number of files. ObjectError when it cannot be read."""
        count = objects.fetch_all(self._uri, self._folder)
        self._sent = self._stamps()
        return count

    def send(self) -> None:
        """Send what is new, changed or gone since the last time. ObjectError when S3 refuses."""
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
                    now.pop(name)  # the training deleted it in the meantime: it keeps few
            for name in self._sent.keys() - now.keys():
                objects.remove(objects.joined(self._uri, name))
            self._sent = now

    def _stamps(self) -> dict[str, tuple[int, int]]:
        """Size in bytes and time of change in ns of each file.

        Files that are still being written, under a temporary name, are left out.
        """
        stamps = {}
        for path in self._folder.rglob("*"):
            try:
                if path.is_file() and path.suffix not in TEMPORARY:
                    found = path.stat()
                    stamps[str(path.relative_to(self._folder))] = (found.st_size, found.st_mtime_ns)
            except FileNotFoundError:
                continue
        return stamps
