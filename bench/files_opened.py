"""python -m bench.files_opened: the project's files that run in a step, a request and a training.

A reader who follows one of them opens these files. Real calls are recorded: a small training on
drawn photos in this process, and one photo through the server's gateway, app and engine.
"""

import asyncio
import io
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from PIL import Image

REPOSITORY = Path(__file__).resolve().parent.parent
DRIVERS = ("bench", "tests")  # they drive, and are not counted
CHANNELS = {"train": 8, "validation": 4, "test": 4}  # photos per class


class Recorder:
    """Records the project's files whose functions are called, in all threads.

    below: only calls below a function of this name count; all calls without it.
    """

    def __init__(self, below: str = "") -> None:
        self.files: set[str] = set()
        self._below = below

    @contextmanager
    def recording(self) -> Iterator[None]:
        threading.setprofile(self._on_event)
        sys.setprofile(self._on_event)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def _on_event(self, frame: FrameType, event: str, _: object) -> None:
        # "<module>": imports and class bodies are no part of a step.
        if event != "call" or frame.f_code.co_name == "<module>":
            return
        name = frame.f_code.co_filename
        if not name.startswith(f"{REPOSITORY}{os.sep}"):
            return
        relative = name.removeprefix(f"{REPOSITORY}{os.sep}")
        if relative.startswith((*DRIVERS, ".")) or relative in self.files:
            return
        if not self._below or _is_below(frame, self._below):
            self.files.add(relative)


def _is_below(frame: FrameType | None, name: str) -> bool:
    while frame is not None:
        if frame.f_code.co_name == name:
            return True
        frame = frame.f_back
    return False


def of_training(folder: Path, below: str = "") -> set[str]:
    """The files of a training of one epoch; with `below`, of the calls below that function."""
    from tests.support.jobs import make_job, train_job

    job = make_job(folder, CHANNELS, epochs=1)
    recorder = Recorder(below)
    with recorder.recording():
        train_job(job)
    return recorder.files


def of_request(folder: Path) -> set[str]:
    """The files that one photo passes in the server, from its ASGI request to the answer."""
    os.environ["SLIPWAY_MODEL_DIR"] = str(folder)
    from serve.factory import make_app
    from serve.settings import ServingSettings
    from tests.support.colour_model import write_colour_model

    write_colour_model(folder)
    app = make_app(ServingSettings.read())
    photo = io.BytesIO()
    Image.new("RGB", (50, 40), (200, 40, 40)).save(photo, "JPEG")
    sent: list[MutableMapping[str, object]] = []
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/invocations",
        "raw_path": b"/invocations",
        "query_string": b"",
        "headers": [
            (b"host", b"localhost"),
            (b"content-type", b"image/jpeg"),
            (b"content-length", str(photo.tell()).encode()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
        "http_version": "1.1",
        "scheme": "http",
    }

    body: list[dict[str, object]] = [
        {"type": "http.request", "body": photo.getvalue(), "more_body": False}
    ]

    async def receive() -> dict[str, object]:
        if body:
            return body.pop()
        await asyncio.Event().wait()  # the client stays, and sends nothing more
        return {}

    async def send(message: MutableMapping[str, object]) -> None:
        sent.append(message)

    recorder = Recorder()
    with recorder.recording():
        asyncio.run(app(scope, receive, send))
    if sent[0]["status"] != 200:
        raise RuntimeError(f"the server answered {sent}")
    return recorder.files


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="slipway-files-") as name:
        folder = Path(name)
        os.environ["SLIPWAY_CACHE"] = str(folder / "cache")
        rows = {
            "a request": of_request(folder / "model"),
            "a training step": of_training(folder / "step", below="train_step"),
            "a whole training": of_training(folder / "whole"),
        }
    for title, files in rows.items():
        print(f"{title}: {len(files)} files")
        for file in sorted(files):
            print(f"    {file}")
    counts = " ".join(f"{title.split()[-1]}={len(files)}" for title, files in rows.items())
    print(f"files-opened: {counts}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
