"""The processes that train together: which share of the work is this one's, and how they come to one answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class World:
    """This process among all of a job's (`rank` of `size`), and among those of its host (`local_rank` of `local_size`)."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and prints for all."""
        return self.rank == 0

    def share(self, items: Sequence) -> Sequence:
        """This process's part of what all do together: every size-th item from its rank on."""
        return items if self.size == 1 else items[self.rank::self.size]

    def add_up(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes."""
        return values

    def gather(self, rows: torch.Tensor, order: Sequence[Sequence[int]]) -> torch.Tensor:
        """The rows of all processes, one for each index, in the order of the indices; `share` dealt the lists of `order` out."""
        return rows
