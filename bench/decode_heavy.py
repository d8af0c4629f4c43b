"""python -m bench.decode_heavy URL PHOTO: a good photo beside bodies dear to decode.

For each kind of body, 60 connections send it again and again, while PHOTO is sent and /ping asked
one after the other. It prints a table: how often the photo was answered (200) or refused (503), and
after how long; the same for /ping. Wanted: 2 s at most for the photo, 0.1 s for the median /ping.
"""

import argparse
import http.client
import io
import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image

from local_test.hostile import SQUARE
from runtime.load import Load, Request, load

CONNECTIONS = 60
SETTLE_S = 3.0  # for the sender's process to start, and its load to be there
PHOTO_S = 2.0  # wanted of the slowest
PING_S = 0.1  # wanted of the median
BODY_BYTES = 5_900_000
REQUEST_TIMEOUT_S = 90


@dataclass
class Asked:
    """One client's answers. seconds: of each; statuses: how many of each."""

    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)


@dataclass
class Row:
    """What a kind of body did to the others. heavy: the answers to the bodies themselves."""

    name: str
    photo: Asked
    ping: Asked
    heavy: Load

    @property
    def good(self) -> bool:
        """Whether the photo and /ping were as wanted."""
        answered = set(self.photo.statuses) <= {200, 503} and set(self.ping.statuses) == {200}
        slowest = max(self.photo.seconds)
        return answered and slowest <= PHOTO_S and statistics.median(self.ping.seconds) <= PING_S

    def line(self) -> str:
        return (
            f"{self.name:22} {counts(self.photo.statuses):>18} "
            f"{statistics.median(self.photo.seconds):8.2f} {max(self.photo.seconds):8.2f} "
            f"{statistics.median(self.ping.seconds):8.3f} {max(self.ping.seconds):8.2f} "
            f"{counts(self.heavy.statuses):>24}"
        )


HEAD = (
    f"{'60 connections send':22} {'a photo got':>18} {'median s':>8} {'most s':>8} "
    f"{'ping s':>8} {'most s':>8} {'they got':>24}"
)


def counts(statuses: dict[int, int]) -> str:
    """Such as `200: 31, 503: 4`."""
    return ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))


def filling() -> bytes:
    """A JPEG of bytes that stand for nothing."""
    jpeg = encoded(Image.new("RGB", (640, 480), "red"), "JPEG")
    return jpeg[:2] + b"\xff" * BODY_BYTES + jpeg[2:]


def large(kind: str, **options: object) -> bytes:
    """A photo with the most pixels that a server takes."""
    return encoded(Image.new("RGB", SQUARE, "red"), kind, **options)


def noise() -> bytes:
    """A PNG that is not compressed, and cut off."""
    image = Image.effect_noise((1900, 1900), 90).convert("RGB")
    return encoded(image, "PNG", compress_level=0)[:BODY_BYTES]


def run_lengths() -> bytes:
    """A BMP of a million pixels in runs of one, which are decoded in Python."""
    stream = encoded(Image.new("P", (1000, 1000)), "BMP")
    start = int.from_bytes(stream[10:14], "little")
    head = bytearray(stream[:start])
    head[30] = 1  # BI_RLE8
    row = b"\1\7" * 1000 + b"\0\0"  # the end of a line
    return bytes(head) + row * 1000 + b"\0\1"


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


BODIES: dict[str, Callable[[], bytes]] = {
    "filling in a JPEG": filling,
    "PNG of 40 Mpx": partial(large, "PNG", compress_level=1),
    "WebP of 40 Mpx": partial(large, "WEBP", method=0),
    "progressive of 40 Mpx": partial(large, "JPEG", progressive=True),
    "noise of 4 Mpx": noise,
    "run lengths in a BMP": run_lengths,
}


def measured(
    url: str, photo: bytes, name: str, body: bytes, seconds: float, connections: int
) -> Row:
    """One kind of body. It is sent by a process of its own, which does not hold up the others."""
    spawning = multiprocessing.get_context("spawn")
    over = spawning.Event()
    found: multiprocessing.Queue[Load] = spawning.Queue()
    request = Request(name, body, "application/octet-stream")
    sender = spawning.Process(target=send, args=(url, request, connections, over, found))
    photos = Asked()
    pings = Asked()
    threads = [
        threading.Thread(target=repeat, args=(url, photos, over, "POST", "/invocations", photo)),
        threading.Thread(target=repeat, args=(url, pings, over, "GET", "/ping", None)),
    ]
    sender.start()
    time.sleep(SETTLE_S)
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    over.set()
    for thread in threads:
        thread.join()
    heavy = found.get()
    sender.join()
    return Row(name, photos, pings, heavy)


def send(
    url: str, request: Request, connections: int, over: Event, found: "multiprocessing.Queue[Load]"
) -> None:
    """The load, in a process of its own."""
    found.put(load(url, lambda: None if over.is_set() else request, connections))


def repeat(url: str, asked: Asked, over: Event, method: str, path: str, body: bytes | None) -> None:
    """Ask again and again over new connections, as other clients would."""
    address = urlsplit(url)
    while not over.is_set():
        started = time.monotonic()
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=REQUEST_TIMEOUT_S
        )
        connection.request(method, path, body, {"Content-Type": "application/octet-stream"})
        status = connection.getresponse().status
        connection.close()
        asked.seconds.append(time.monotonic() - started)
        asked.statuses[status] = asked.statuses.get(status, 0) + 1


def main() -> int:
    """0 when every figure is as wanted, else 1."""
    parser = argparse.ArgumentParser(prog="bench.decode_heavy", description=__doc__)
    parser.add_argument("url", help="of a server, such as http://127.0.0.1:8080")
    parser.add_argument("photo", type=Path, help="a good photo")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each kind (default 10)")
    parser.add_argument("--only", metavar="KIND", help="one kind of body alone")
    options = parser.parse_args()
    photo = options.photo.read_bytes()
    print(HEAD)
    slow = 0
    for name, body in BODIES.items():
        if options.only in (None, name):
            row = measured(options.url, photo, name, body(), options.seconds, CONNECTIONS)
            print(row.line() + ("" if row.good else "  too slow"), flush=True)
            slow += not row.good
    return int(slow > 0)


if __name__ == "__main__":
    raise SystemExit(main())
