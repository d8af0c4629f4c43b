"""The cells of the GPU bench: each measures some figures, or says why it cannot.

A cell that fails, crashes or takes too long leaves its figures out; the others go on.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Figure = float | str


@dataclass(frozen=True)
class Sizes:
    """How much is measured. photos: of a class; side: of the views, pixels."""

    model: str = "resnet50"
    batch_size: int = 128
    side: int = 224
    photos: int = 400
    steps: int = 60  # on one batch
    epochs: int = 3
    head_model: str = "vgg16"
    head_classes: int = 107  # the poses of the yoga set, with 56 photos each
    head_photos: int = 56
    head_epochs: int = 10
    max_batch: int = 64  # of the engine
    turns: int = 5
    turn_s: float = 0.5
    connections: tuple[int, ...] = (1, 16, 64, 256)
    load_s: float = 15.0
    product_side: int = 8192  # of the matrices that show the device's limit
    reduced: int = 25_557_032  # float32 values that two processes add up: ResNet50's gradients
    limit_s: float = 1800.0  # of one process


# What a processor does in a minute or two: every cell runs, its figures mean nothing.
TINY = Sizes(
    model="shufflenet_v2_x0_5",
    batch_size=4,
    side=32,
    photos=1,
    steps=1,
    epochs=2,
    head_model="shufflenet_v2_x0_5",
    head_classes=3,
    head_photos=3,
    head_epochs=1,
    max_batch=2,
    turns=1,
    turn_s=0.01,
    load_s=0.3,
    product_side=256,
    reduced=10_000,
    limit_s=1500.0,
)


@dataclass
class Bench:
    """One run. out: photos, jobs and the trained model stay there. figures: by key, so far."""

    device: str  # cuda or cpu
    out: Path
    sizes: Sizes
    cores: int
    figures: dict[str, Figure] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)  # why, by key

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"


class LeftOut(Exception):
    """A figure cannot be had here. Its text says why."""


@dataclass(frozen=True)
class Cell:
    """rows: what a table calls its figures, by key."""

    name: str
    rows: Mapping[str, str]
    measure: Callable[[Bench], Mapping[str, Figure]]


def run_cells(bench: Bench, cells: Iterable[Cell]) -> None:
    """Measure each; what one found before it failed counts."""
    for cell in cells:
        print(f"bench-gpu: {cell.name} …", flush=True)
        started = time.perf_counter()
        reason = "its cell does not give it here"
        try:
            bench.figures |= cell.measure(bench)
        # RuntimeError: a process that failed; OSError: a file or a port; LookupError, ValueError:
        # output without the figure
        except (LeftOut, RuntimeError, OSError, LookupError, ValueError) as error:
            reason = " ".join(f"{error}".split())[:300] or type(error).__name__
            print(f"bench-gpu: {cell.name}: left out: {reason}", flush=True)
        seconds = time.perf_counter() - started
        print(f"bench-gpu: {cell.name}: {seconds:.1f} s", flush=True)
        for key in cell.rows:
            if key not in bench.figures:
                bench.left_out[key] = reason
