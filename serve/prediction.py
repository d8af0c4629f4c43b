"""The answer to one photo, as /invocations gives it."""

from typing import TypedDict


class Label(TypedDict):
    """A class and its probability, from 0 to 1."""

    label: str
    probability: float


class Prediction(TypedDict, total=False):
    """label and probability: of the best class. top: the most probable classes, best first.

    labels: of a multi-label model, all classes above one half. error: in batch transform, and then
    alone: why this record has no answer.
    """

    label: str
    probability: float
    top: list[Label]
    labels: list[str]
    error: str
