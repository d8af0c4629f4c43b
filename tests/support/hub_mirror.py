"""A mirror of the Hugging Face hub with a few files, on a free port of this machine."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def hub_mirror(files: dict[str, bytes]) -> Iterator[str]:
    """Its address. files: content by REPOSITORY/FILE, such as timm/resnet18.tv_in1k/a.bin."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            content = self._answer()
            if content:
                self.wfile.write(content)

        def _answer(self) -> bytes | None:
            repository, _, rest = self.path.strip("/").partition("/resolve/")
            content = files.get(f"{repository}/{rest.partition('/')[2]}")
            if content is None:
                self.send_response(200 if self.path == "/" else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return None
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.end_headers()
            return content

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
