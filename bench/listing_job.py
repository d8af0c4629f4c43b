"""python -m bench.listing_job FOLDER: the measured process of bench/list_photos.py."""

import json
import sys
import time
from pathlib import Path

import torch  # noqa: F401  a training has it loaded, so its memory is not the lists'

from bench.memory import memory_mb
from train.data.channels import read_channels
from train.learning.objective import padded
from train.learning.optimization import class_weights


def main() -> None:
    padded([(0,), (1,)], 2)  # its first use loads code
    held_before = memory_mb("VmRSS")
    peak_before = memory_mb("VmHWM")
    started = time.monotonic()
    channels = read_channels({"train": Path(sys.argv[1])}, (0.7, 0.1, 0.2), 0)
    seconds = time.monotonic() - started
    listed = memory_mb("VmRSS")
    classes = len(channels.classes)
    # the results are held until the memory is measured
    held = [
        padded(channels.train.labels, classes),
        class_weights("balanced", channels.train.labels, classes),
        channels.train.paths.fingerprint(),
    ]
    figures = {
        "seconds": seconds,
        "listed_mb": listed - held_before,
        "held_mb": memory_mb("VmRSS") - held_before,
        "peak_mb": memory_mb("VmHWM") - peak_before,
        "all_seconds": time.monotonic() - started,
    }
    del held
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
