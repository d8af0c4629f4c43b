"""What a training's photos and answers leave in doubt, as files for pages and programs."""

from collections.abc import Callable, Mapping, Sequence

from artifact.model import Description
from train.learning.fit import Fit
from train.result.features import Features
from train.result.label_doubts import write_label_doubts
from train.result.measure import Answers
from train.result.reliability import write_reliability


def write_doubts(
    plan: Fit,
    description: Description,
    measured: Sequence[Answers],
    features: Mapping[str, Features],
    stop: Callable[[], bool],
) -> None:
    """calibration.json, coverage.json and doubtful_labels.json, where there is what they need."""
    write_reliability(plan.job, description, measured)
    frozen = plan.learner.hyperparameters.trainable == "head"
    write_label_doubts(
        plan.job, features, description.classes, description.multi_label, frozen, stop
    )
