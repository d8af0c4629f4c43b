"""Decode one photo and say what it cost: processor time, memory beyond what its pixels need."""

import ctypes
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from artifact.photos.decoder import decode
from artifact.photos.kinds import PhotoError

MAX_PIXELS = 4_000_000  # of a photo here: small, so that a run does not need gigabytes itself
# Pillow holds four bytes a pixel. While it is turned or converted a photo is there twice, and a
# strip of it in floating point: 8 + 8 bytes of a million pixels are within the slack. So is a photo
# of MAX_PIXELS that is refused at its last byte.
BYTES_PER_PIXEL = 8
SLACK_MB = 64
MOST_S = 2.0
STATUS = Path("/proc/self/status")
LIBC = ctypes.CDLL(None)  # glibc


@dataclass
class Cost:
    """One case. outcome: photo, refused, or the name of an exception that decode must not raise."""

    number: int
    format: str
    size: int  # bytes
    outcome: str
    pixels: int  # of the photo; 0 where there is none in the end
    extra_mb: float  # beyond these pixels
    seconds: float  # of the processor

    def finding(self) -> str:
        """What is wrong with this case; empty for nothing."""
        if self.outcome not in ("photo", "refused"):
            return f"it ended in {self.outcome}"
        if self.extra_mb > SLACK_MB:
            return f"it took {self.extra_mb:.0f} MB more than its pixels need"
        if self.seconds > MOST_S:
            return f"it took {self.seconds:.1f} s of the processor"
        return ""

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def measured(number: int, name: str, data: bytes) -> Cost:
    """Decode a photo in this process."""
    pixels = 0
    # Memory that is free, but not given back, would hide what a decoder takes of it.
    LIBC.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins at the present size
    before = memory_mb("VmRSS")
    started = time.process_time()
    outcome = "photo"
    try:
        photo = decode(data, MAX_PIXELS)
        pixels = photo.width * photo.height
        photo.close()
    except PhotoError:
        outcome = "refused"
    except Exception as error:  # whatever it is: a finding
        outcome = f"{type(error).__name__}: {str(error)[:100]}"
    seconds = time.process_time() - started
    extra_mb = memory_mb("VmHWM") - before - pixels * BYTES_PER_PIXEL / 2**20
    return Cost(number, name, len(data), outcome, pixels, max(0.0, extra_mb), seconds)


def memory_mb(field: str) -> float:
    """A figure of this process: VmRSS now, or VmHWM, the peak."""
    for line in STATUS.read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) / 1024
    raise LookupError(field)
