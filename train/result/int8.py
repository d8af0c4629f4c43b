"""The int8 model of a training: on which photos it is calibrated, and on which it is judged."""

import contextlib
from collections.abc import Callable, Sequence

import torch

from artifact.engines.choice import open_engine
from artifact.engines.int8_gate import Judgement
from artifact.engines.quantization import quantize
from artifact.model import Description
from train.data.channels import Channels, Photos
from train.data.photos import PhotoArrays
from train.job import Job
from train.learning.fit import Fit
from train.learning.objective import is_correct
from train.result.measure import Answers, measure
from train.result.some_photos import sized, spread

JUDGES = 1000  # photos that judge int8; all validation photos do, however many they are

Part = tuple[str, PhotoArrays, Photos]  # channel, its photos as pixels, and with labels


def quantize_artifact(
    job: Job,
    description: Description,
    plan: Fit,
    channels: Channels,
    stop: Callable[[], bool],
    known: dict[str, Answers],
) -> dict[str, object]:
    """Calibrate int8 on training photos, and judge it on the validation photos and on others.

    The others are training photos, up to JUDGES in all. Returns model.json's figures. `known`
    receives the artifact's answers on the validation photos, by precision.
    """
    parts: list[Part] = []
    if len(channels.validation):
        parts.append(("validation", plan.validation_photos, channels.validation))
    others = spread(channels.train, max(0, JUDGES - len(channels.validation)))
    if len(others):
        arrays = sized(others, description.preprocessing, keep=True)
        parts.append(("train", arrays, others))

    def judge(described: Description, precision: str) -> Judgement | None:
        measured = []
        with contextlib.closing(open_engine(job.model, described, precision)) as engine:
            for name, arrays, photos in parts:
                answers = measure(engine, described, name, arrays, photos.labels, stop)
                if answers is None:
                    return None
                measured.append(answers)
        if len(channels.validation):
            known[measured[0].precision] = measured[0]
        return judgement(measured)

    judges = sum(len(photos) for _, _, photos in parts)
    return quantize(job.model, description, channels.train.paths, judges, judge, stop)


def judgement(measured: Sequence[Answers]) -> Judgement:
    """The answers on all parts as the gate compares them."""
    probabilities = torch.cat([answers.probabilities for answers in measured])
    wanted = torch.cat([answers.wanted for answers in measured])
    multi_label = measured[0].multi_label
    correct = is_correct(probabilities, wanted, multi_label, threshold=0.5)
    if multi_label:
        return Judgement((probabilities > 0.5).numpy(), correct.numpy())
    return Judgement(probabilities.argmax(dim=1).numpy(), correct.numpy())
