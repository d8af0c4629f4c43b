"""What speaks for an answer: the shape in which the server, an endpoint and the page hand it on."""

from typing import TypedDict


class Saliency(TypedDict):
    """Where a photo's answer comes from.

    label: whose probability is looked at, and probability: on the whole photo. heat: rows of
    numbers from 0 to 1, over the square in the photo's middle that the model sees; view: its side,
    as a share of the photo's shorter one. fall: of the probability, where the part that matters
    most is covered. asked: pictures that the model was asked for.
    """

    label: str
    probability: float
    heat: list[list[float]]
    view: float
    fall: float
    asked: int
