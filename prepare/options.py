"""The options of a preparation. It knows nothing of the command line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ALL = "all"
SHARD = "shard"
JOIN = "join"
STEPS = (ALL, SHARD, JOIN)


@dataclass(frozen=True)
class Options:
    """What a user chose.

    split: shares of train, validation and test, which add up to 1. on_bad: `skip` or `fail`.
    s3_uri: prefix of every path in the manifests; the paths are relative where it is empty.
    groups: a column of the labels or a regular expression of paths that photos of one person, burst
    or video have in common, or empty. keep_split: the
    manifest.csv whose split is kept. step: of STEPS; `shard` decodes, `join` does the rest. part:
    which of how many parts of the sources a shard takes, from 1. labels: a list that has the
    photos' classes; None where folders have them. left_out: what an archive as source holds, and
    cannot be unpacked: path to reason.
    """

    source: Path
    destination: Path
    split: tuple[float, ...] = (0.7, 0.1, 0.2)
    seed: int = 0
    workers: int = 1
    on_bad: str = "skip"
    s3_uri: str = ""
    groups: str = ""
    keep_split: Path | None = None
    step: str = ALL
    part: tuple[int, int] = (1, 1)
    labels: Path | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    def recorded(self) -> dict[str, object]:
        """The options that decide the output, for prepare.json."""
        return {
            "split": list(self.split),
            "seed": self.seed,
            "on_bad": self.on_bad,
            "s3_uri": self.s3_uri,
            "groups": self.groups,
        }

    def same_split(self, earlier: Mapping[str, object]) -> bool:
        """Whether the recorded options of an earlier run ask for the same split."""
        recorded = self.recorded()
        defaults = {"groups": ""}
        return all(
            earlier.get(name, defaults.get(name)) == recorded[name]
            for name in ("split", "seed", "groups")
        )
