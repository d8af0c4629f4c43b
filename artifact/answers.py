"""The answer to one photo, as /invocations and `slipway.load` give it."""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from artifact.model import Description


class Label(TypedDict):
    """A class and its probability, from 0 to 1."""

    label: str
    probability: float


class Prediction(TypedDict, total=False):
    """label and probability: of the best class. top: the most probable classes, best first.

    labels: of a multi-label model, all classes above one half. known: false for a photo unlike all
    that the training has seen; left out for artifacts without such a score. error: in batch
    transform, and then alone: why this record has no answer.
    """

    label: str
    probability: float
    top: list[Label]
    labels: list[str]
    known: bool
    error: str


def prediction(
    description: Description,
    probabilities: NDArray[np.float32],
    distance: float,
    top_k: int,
) -> Prediction:
    """The answer to a photo with its top_k most probable classes.

    probabilities: float32 [classes]. distance: to what the training has seen, by which `known` is
    judged; of no use where the artifact has no such score.
    """
    classes = description.classes
    best = np.argsort(-probabilities, kind="stable")[:top_k]
    answer: Prediction = {
        "label": classes[best[0]],
        "probability": float(probabilities[best[0]]),
        "top": [
            {"label": classes[index], "probability": float(probabilities[index])} for index in best
        ],
    }
    if description.multi_label:
        answer["labels"] = [
            name
            for name, probability in zip(classes, probabilities, strict=True)
            if probability > 0.5
        ]
    if description.known:
        answer["known"] = bool(distance <= description.known["threshold"])
    return answer
