"""Eager torch as a user's own class calls it: a photo becomes slipway-serve's JSON."""

import network


class Model:
    """The trained network in a model folder; photos in, labels out."""

    def __init__(self, directory: str, threads: int | None = None):
        if threads:
            network.torch.set_num_threads(threads)
        self.network = network.Model(directory)

    def answer(self, photo: bytes) -> dict:
        """The five most probable labels of one encoded photo, best first."""
        return self.network.answer(self.network.probabilities(self.network.decode(photo)))
