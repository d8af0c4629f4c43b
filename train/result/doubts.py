"""What a training's photos and answers leave in doubt, as files for pages and programs."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from artifact.model import Description
from train.learning.fit import Fit
from train.result.features import Features
from train.result.label_doubts import write_label_doubts
from train.result.measure import Answers
from train.result.reliability import write_reliability
from train.result.report_doubts import InDoubt


def write_doubts(
    plan: Fit,
    description: Description,
    measured: Sequence[Answers],
    features: Mapping[str, Features],
    stop: Callable[[], bool],
) -> InDoubt:
    """calibration.json, coverage.json and doubtful_labels.json, where there is what they need.

    Returns what they hold.
    """
    calibration, coverage = write_reliability(plan.job, description, measured)
    found = _of_first_weights(plan, features)
    frozen = bool(found) or plan.learner.hyperparameters.trainable == "head"
    labels = write_label_doubts(
        plan.job, found or features, description.classes, description.multi_label, frozen, stop
    )
    return InDoubt(calibration, coverage, labels)


def _of_first_weights(plan: Fit, features: Mapping[str, Features]) -> dict[str, Features]:
    """The features of the network before it learned the labels, where all channels' are kept."""
    kept = plan.probe.kept if plan.probe else {}
    found = {}
    for channel, part in features.items():
        rows = kept.get(channel)
        if rows is None or len(rows) != len(part.rows):
            return {}
        found[channel] = dataclasses.replace(part, rows=rows)
    return found
