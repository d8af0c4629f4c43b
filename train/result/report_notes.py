"""The training report's sentences on the artifact: facts, precision, int8, calibration."""

from collections.abc import Sequence

from artifact.model import Description
from train.learning.state import State
from train.result.measure import Answers


def facts(description: Description, state: State, seconds: float) -> dict[str, str]:
    """The report's first lines: label to text."""
    data = description.provenance["data"]
    found = {}
    if "untrained" in description.provenance:
        found["Not trained"] = description.provenance["untrained"]
    for channel, value in description.accuracy.items():
        found[f"{channel.capitalize()} accuracy"] = f"{value:.1%}"
    photos = f"{data['train']} train, {data['validation']} validation, {data['test']} test"
    return found | {
        "Photos": f"{photos} in {len(description.classes)} classes",
        "Epochs": f"{state.epoch}, best {state.best_epoch}",
        "First weights": description.provenance["weights"],
        "Time": f"{seconds:.0f} s",
    }


def linear_head_sentence(state: State) -> str:
    """`a linear head on the same backbone: 0.953 of the test photos`; "" where none was solved."""
    accuracy = state.linear_head.get("accuracy", {})
    for channel in ("test", "validation"):
        if accuracy.get(channel) is not None:
            found = accuracy[channel]
            return f"a linear head on the same backbone: {found:.3f} of the {channel} photos"
    return ""


def notes(
    description: Description, measured: Sequence[Answers], linear_head: str = ""
) -> list[str]:
    """Sentences on the linear head, the accuracies' precision, int8 and the probabilities.

    linear_head: of `linear_head_sentence`.
    """
    sentences = []
    if linear_head:
        sentences.append(f"{linear_head[0].upper()}{linear_head[1:]}.")
    precision = description.provenance["measured_precision"]
    if precision:
        sentences.append(
            f"The accuracies above are of the artifact's own answers in {precision}, "
            "as an endpoint on such a machine gives them."
        )
    if description.quantization:
        sentences.append(_quantization(description))
    if description.calibration:
        sentences.append(_calibration(description, measured))
    return sentences


def _quantization(description: Description) -> str:
    figures = description.quantization
    if not figures["kept"]:
        return f"No int8 model was kept: {figures['reason']}."
    low, high = figures["loss_interval"]
    return (
        f"The int8 model, calibrated on {figures['calibration_photos']} photos, was kept: "
        f"it answers {figures['agreement']:.1%} of {figures['photos']} validation and training "
        f"photos as f32 does. Its accuracy on them is {figures['int8_accuracy']:.1%}, "
        f"that of f32 {figures['f32_accuracy']:.1%}; the difference is {100 * low:.2f} to "
        f"{100 * high:.2f} percentage points. Both were measured on {figures['processor']}."
    )


def _calibration(description: Description, measured: Sequence[Answers]) -> str:
    figures = description.calibration
    sentence = (
        f"A temperature of {description.temperature:.2f}, fitted on {figures['photos']} "
        "validation photos, changed the expected calibration error there "
        f"from {figures['ece_before']:.1%} to {figures['ece_after']:.1%}: "
        "the mean gap between a probability and the share of answers that are right."
    )
    for answers in measured:
        if answers.channel == "test":
            sentence += f" On the test photos it is {answers.calibration_error():.1%}."
    return sentence
