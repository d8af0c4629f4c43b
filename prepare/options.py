"""The options of a preparation. It knows nothing of the command line."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """What a user chose.

    split: shares of train, validation and test, which add up to 1. on_bad: `skip` or `fail`.
    s3_uri: prefix of every path in the manifests; the paths are relative where it is empty.
    """

    source: Path
    destination: Path
    split: tuple[float, ...] = (0.7, 0.1, 0.2)
    seed: int = 0
    workers: int = 1
    on_bad: str = "skip"
    s3_uri: str = ""

    def recorded(self) -> dict[str, object]:
        """The options that decide the output, for prepare.json."""
        return {
            "split": list(self.split),
            "seed": self.seed,
            "on_bad": self.on_bad,
            "s3_uri": self.s3_uri,
        }
