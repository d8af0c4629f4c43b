"""A package index on this machine with tiny packages, which can hold an answer back."""

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def write_wheel(folder: Path, name: str, content: bytes = b"") -> str:
    """A wheel of one module; returns its line in a lock."""
    file = folder / f"{name}-1.0-py3-none-any.whl"
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(f"{name}.py", content)
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(
            f"{about}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{about}/RECORD", "")
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


class Index:
    """asked: set once the held file was asked for. held: the name that waits for `let_go`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.held = "nothing"
        self.asked = threading.Event()
        self.let_go = threading.Event()
        self.url = ""


@contextmanager
def package_index(folder: Path) -> Iterator[Index]:
    """Serves the folder's wheels; pip finds them by PIP_FIND_LINKS=url."""
    index = Index(folder)

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, directory=str(folder), **options)

        def do_GET(self):
            if self.path.startswith(f"/{index.held}"):
                index.asked.set()
                index.let_go.wait()
            super().do_GET()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        index.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield index
        finally:
            index.let_go.set()
            server.shutdown()
            thread.join()
