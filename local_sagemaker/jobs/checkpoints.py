"""The checkpoints of a host, kept in step with S3.

They are fetched before a start, and sent on as they come, change and go.
"""

import threading
from contextlib import suppress
from pathlib import Path

from local_sagemaker import objects
from runtime import job_tree

EVERY_S = 3.0  # between two sends; SageMaker's guide has no number for it
TEMPORARY = (".tmp", ".part", ".slipway-tmp")  # suffixes of files that are still being written


class Checkpoints:
    """A part of one host's tree, and its S3 prefix. root: the tree.

    A file that is deleted here is deleted there if this host had sent it.
    """

    def __init__(self, root: Path, part: Path, uri: str) -> None:
        self._root = root
        self._part = part
        self._uri = uri
        self._sent: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def fetch(self) -> int:
        """Fetch what S3 has; the number of files. ObjectError when it cannot be read."""
        count = objects.fetch_all(self._uri, self._root / self._part)
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
                    objects.put(self._root, self._part / name, objects.joined(self._uri, name))
                except objects.ObjectError as error:
                    # A link that leads out may have come between the look and the sending.
                    outward = isinstance(error.__cause__, job_tree.OutwardLink)
                    if (self._root / self._part / name).exists() and not outward:
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
        for name in job_tree.files_inside(self._root, self._part):
            path = self._root / self._part / name
            if path.suffix in TEMPORARY:
                continue
            with suppress(FileNotFoundError):
                found = path.stat()
                stamps[name] = (found.st_size, found.st_mtime_ns)
        return stamps
