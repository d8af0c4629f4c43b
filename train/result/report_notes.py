"""The training report's sentences on the artifact: facts, precision, int8, calibration."""

from collections.abc import Mapping, Sequence
from typing import Any

from artifact.model import Description
from artifact.text.numbers import duration, percent
from train.data.shared_out import first_host_sentence
from train.learning.state import State
from train.result.measure import Answers


def facts(description: Description, state: State, seconds: float) -> dict[str, str]:
    """The report's first lines: label to text."""
    data = description.provenance["data"]
    found = {}
    if "untrained" in description.provenance:
        found["Not trained"] = description.provenance["untrained"]
    for channel, value in description.accuracy.items():
        found[f"{channel.capitalize()} accuracy"] = percent(value)
    photos = f"{data['train']} / {data['validation']} / {data['test']}"
    epochs = str(state.epoch)
    if state.epoch > 1:
        epochs = f"{state.epoch}, best {state.best_epoch}"
    return found | {
        "Train / validation / test": photos,
        "Classes": str(len(description.classes)),
        "Epochs": epochs,
        "Time": duration(seconds),
    }


def linear_head_sentence(state: State) -> str:
    """`a linear head on the same backbone: 95.3 % of the test photos`; "" where none was solved."""
    accuracy = state.linear_head.get("accuracy", {})
    for channel in ("test", "validation"):
        if accuracy.get(channel) is not None:
            reached = percent(accuracy[channel])
            return f"a linear head on the same backbone: {reached} of the {channel} photos"
    return ""


def notes(
    description: Description, measured: Sequence[Answers], linear_head: str = ""
) -> list[str]:
    """Sentences on the linear head, the accuracies' precision, int8 and the probabilities.

    linear_head: of `linear_head_sentence`.
    """
    sentences = [f"It began with {description.provenance['weights']}."]
    if linear_head:
        sentences.append(f"{linear_head[0].upper()}{linear_head[1:]}.")
    precision = description.provenance["measured_precision"]
    if precision:
        sentences.append(
            f"The accuracies above are of the artifact's own answers in {precision}, "
            "as an endpoint on such a machine gives them."
        )
    data = description.provenance["data"]
    if "train_on_first_host" in data:
        first = data["train_on_first_host"]
        int8 = bool(description.quantization)
        sentences.append(f"{first_host_sentence(first, data['train'], int8)}.")
    if description.quantization:
        sentences.append(_quantization(description))
    if description.calibration:
        sentences.append(_calibration(description, measured))
    return sentences


def _quantization(description: Description) -> str:
    figures = description.quantization
    if not figures["kept"]:
        return f"No int8 model was kept: {figures['reason']}."
    return (
        f"The int8 model, calibrated on {figures['calibration_photos']} photos, was kept: it "
        f"answers {percent(figures['agreement'])} of {figures['photos']} validation and training "
        f"photos as f32 does. {_int8_accuracy(figures)}. "
        f"Both were measured on {figures['processor']}."
    )


def _int8_accuracy(figures: Mapping[str, Any]) -> str:
    low, high = (f"{100 * bound:.2f}" for bound in figures["loss_interval"])
    own = percent(figures["int8_accuracy"])
    if float(low) == float(high) == 0:
        return f"Its accuracy on them is {own}, and so is that of f32"
    return (
        f"Its accuracy on them is {own}, that of f32 {percent(figures['f32_accuracy'])}; "
        f"the difference is {low} to {high} percentage points"
    )


def _calibration(description: Description, measured: Sequence[Answers]) -> str:
    figures = description.calibration
    before = percent(figures["ece_before"])
    after = percent(figures["ece_after"])
    effect = f"changed that error on them from {before} to {after}"
    if before == after:
        effect = f"leaves that error on them at {after}"
    sentence = (
        "The expected calibration error is the mean gap between a probability and the share of "
        f"answers that are right. A temperature of {description.temperature:.2f}, fitted on "
        f"{figures['photos']} validation photos, {effect}."
    )
    for answers in measured:
        if answers.channel == "test":
            sentence += f" On the test photos it is {percent(answers.calibration_error())}."
    return sentence
