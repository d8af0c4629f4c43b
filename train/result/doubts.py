"""What a training's photos and answers leave in doubt, as files for pages and programs.

Labels that are likely wrong are found in all channels, from the features that are there at the end.
"""

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from artifact.model import Description, write_atomically
from artifact.text.names import printable
from train.job import Job
from train.learning.confident_learning import FOLDS, STRENGTHS, CrossValidation, OutOfFold, doubted
from train.learning.fit import Fit
from train.result.features import Features
from train.result.measure import Answers
from train.result.reliability import write_reliability
from train.result.report_doubts import InDoubt

LABELS_FILE = "doubtful_labels.json"
FEWEST = 4 * FOLDS  # photos
MOST_ANSWERS = 5_000_000  # photos times classes: half a minute on two cores
METHOD = "confident learning over out-of-fold logistic regression, in two rounds"

log = logging.getLogger(__name__)


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


def write_label_doubts(
    job: Job,
    features: Mapping[str, Features],
    classes: Sequence[str],
    multi_label: bool,
    frozen: bool,
    stop: Callable[[], bool],
) -> dict[str, object]:
    """doubtful_labels.json: each photo whose label is likely wrong, the least likely label first.

    features: by channel; without any nothing is written. frozen: they come from a backbone that
    this training has not changed. A network that has learned the labels doubts fewer of them.
    Returns what the file holds, {} without one.
    """
    found = list(features.values())
    photos = sum(len(part.rows) for part in found)
    if not found or stop():
        return {}
    document: dict[str, object] = {"method": METHOD, "photos": photos, "folds": FOLDS}
    if photos < FEWEST or photos * len(classes) > MOST_ANSWERS:
        document = {"left_out": f"{photos} photos of {len(classes)} classes"}
    else:
        rows = torch.cat([part.rows for part in found])
        targets = torch.cat([part.targets for part in found])
        doubts = find_doubts(rows, targets, multi_label, stop)
        if doubts is None:
            return {}
        document["features"] = "frozen backbone" if frozen else "trained network"
        document |= _figures(doubts, targets) | {"labels": _entries(found, classes, doubts)}
    job.output_data.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=2) + "\n"
    write_atomically(job.output_data / LABELS_FILE, text.encode())
    return document


class Doubts:
    """Out-of-fold probabilities [N, classes], and what they say of each label.

    wrong: bool [N, classes]; of photos with one label, both that label and the suggested one.
    """

    def __init__(self, predicted: OutOfFold, wrong: torch.Tensor, rank: torch.Tensor):
        self.probabilities = predicted.probabilities
        self.strength = predicted.strength
        self.wrong = wrong
        self.rank = rank  # [N], the lowest first


def find_doubts(
    rows: torch.Tensor, targets: torch.Tensor, multi_label: bool, stop: Callable[[], bool]
) -> Doubts | None:
    """The doubts about photos with these features [N, D] and targets [N, classes].

    The second round predicts by models of the photos that the first has not doubted. None when
    stopped.
    """
    folds = CrossValidation(rows, targets, multi_label)
    kept = torch.ones(len(rows), dtype=torch.bool)
    strengths: tuple[float, ...] = STRENGTHS
    wrong = torch.zeros_like(targets, dtype=torch.bool)
    predicted = None
    for _ in range(2):
        predicted = folds.predict(kept, strengths, stop)
        if predicted is None:
            return None
        wrong = _wrong(predicted.probabilities, targets, multi_label)
        kept = ~wrong.any(1)
        strengths = (predicted.strength,)
    assert predicted is not None
    likely = torch.where(targets > 0, predicted.probabilities, 1 - predicted.probabilities)
    return Doubts(predicted, wrong, torch.where(wrong, likely, 2.0).amin(1))


def _wrong(probabilities: torch.Tensor, targets: torch.Tensor, multi_label: bool) -> torch.Tensor:
    """The labels that are likely wrong or missing, bool [N, classes]."""
    found = probabilities.double().numpy()
    wrong = torch.zeros_like(targets, dtype=torch.bool)
    if multi_label:  # one question for each label: is it there?
        for index in range(targets.shape[1]):
            answers = np.stack([1 - found[:, index], found[:, index]], 1)
            is_there = targets[:, index].long().numpy()
            wrong[:, index] = torch.from_numpy(doubted(is_there, answers))
        return wrong
    labels = targets.argmax(1)
    chosen = torch.from_numpy(doubted(labels.numpy(), found))
    wrong[chosen, labels[chosen]] = True
    wrong[chosen, probabilities.argmax(1)[chosen]] = True
    return wrong


def _figures(doubts: Doubts, targets: torch.Tensor) -> dict[str, object]:
    best = doubts.probabilities.argmax(1, keepdim=True)
    count = int(doubts.wrong.any(1).sum())
    accuracy = float((targets.gather(1, best) > 0).double().mean())
    log.info("labels: %d of %d are likely wrong; doubtful_labels.json", count, len(targets))
    return {"penalty": doubts.strength, "accuracy": round(accuracy, 5), "doubted": count}


def _entries(
    found: Sequence[Features], classes: Sequence[str], doubts: Doubts
) -> list[dict[str, object]]:
    paths: list[tuple[str, Path]] = []
    for part in found:
        paths += [(part.channel, path) for path in part.paths]
    targets = torch.cat([part.targets for part in found]) > 0
    entries: list[dict[str, object]] = []
    for index in torch.argsort(doubts.rank, stable=True).tolist():
        wrong = doubts.wrong[index]
        if not wrong.any():
            break
        channel, path = paths[index]
        suggested = targets[index] ^ wrong
        entry = {
            "photo": printable(str(path)),
            "channel": channel,
            "label": _named(classes, targets[index]),
            "suggested": _named(classes, suggested),
            "label_probability": _lowest(doubts.probabilities[index], targets[index]),
            "suggested_probability": _lowest(doubts.probabilities[index], suggested),
        }
        entries.append(entry)
    return entries


def _named(classes: Sequence[str], chosen: torch.Tensor) -> str:
    """Labels as predictions.csv writes them: several with semicolons."""
    return ";".join(classes[index] for index in chosen.nonzero()[:, 0].tolist())


def _lowest(probabilities: torch.Tensor, chosen: torch.Tensor) -> float | None:
    """The least probability of the chosen labels; None without any."""
    if not chosen.any():
        return None
    return round(float(probabilities[chosen].min()), 5)
