"""Rules on the input and the output of a network: photos, labels, predictions.

Definitions and defaults: SageMaker's list of Debugger built-in rules,
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html
"""

from collections import deque
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from smdebug.core.modes import ModeKeys

from diagnose.line import Line
from diagnose.rule import Array, TensorRule

if TYPE_CHECKING:
    from diagnose.trial import JobTrial

PAIRS = "labels and predictions (debug_collections=samples)"

Classes = NDArray[np.int64]  # class numbers, [N]


class ClassImbalance(TensorRule):
    """Fires, once `samples` training labels were seen, for classes that are too rare.

    Either the most frequent class has more than `threshold_imbalance` times the labels of the
    rarest, or more than `threshold_misprediction` of an underrepresented class's photos were
    predicted wrongly. argmax: True where predictions are logits or probabilities [N, C].

    SageMaker's documentation speaks of mispredictions "of each class", and also "for
    underrepresented classes as a result of the imbalance". Here it is the second, because the rule
    would else fire for every untrained network. A class is underrepresented when it has less than
    half the mean number of labels. Only classes that were seen count. Labels of validation count
    where none of training were saved. Mispredictions are those of the newest `recent` labels, 0 for
    all, and count only where at most `others` of the other classes' photos were predicted wrongly:
    a network that knows no class yet says nothing of a rare one.
    """

    advice = (
        "class_weights=balanced, more photos of the rare classes, or fewer of the frequent ones"
    )
    needs = PAIRS
    sagemaker: ClassVar[dict[str, object]] = {"samples": 500, "recent": 0, "others": 1.0}

    def __init__(
        self,
        base_trial: "JobTrial",
        *,
        threshold_imbalance: float = 10.0,
        threshold_misprediction: float = 0.7,
        samples: int = 200,
        argmax: bool = False,
        labels_regex: str = ".*labels",
        predictions_regex: str = ".*predictions",
        recent: int = 200,
        others: float = 0.35,
    ) -> None:
        super().__init__(base_trial)
        self.imbalance = threshold_imbalance
        self.misprediction = threshold_misprediction
        self.samples = samples
        self.argmax = argmax
        self.labels_regex = labels_regex
        self.predictions_regex = predictions_regex
        self.others = others
        self.counts: dict[int, int] = {}  # labels seen, by class
        # of the labels with a prediction, the newest `recent`: the class, and whether it was wrong
        self.pairs: deque[tuple[int, bool]] = deque(maxlen=recent or None)

    def invoke_at_step(self, step: int) -> bool:
        """Count the step's labels, and compare the counts once there are enough."""
        if self.mode_of(step) is not ModeKeys.TRAIN and ModeKeys.TRAIN in self.base_trial.modes():
            return False
        names = self.names(step, (), self.labels_regex)
        for name in names:
            labels = classes_of(self.value(name, step))
            if labels is not None:
                _count(self.counts, labels)
                self._count_pairs(step, labels)
        seen = sum(self.counts.values())
        if seen < self.samples:
            self.needs = f"{PAIRS} of {self.samples} photos; {seen} were seen"
            return False
        if not names:
            return False
        self.count_step()
        return self._is_uneven(step, names[0]) or self._is_mistaken(step, names[0])

    def _count_pairs(self, step: int, labels: Classes) -> None:
        for name in self.names(step, (), self.predictions_regex):
            predictions = classes_of(self.value(name, step), self.argmax)
            if predictions is not None and predictions.shape == labels.shape:
                wrong = (predictions != labels).tolist()
                self.pairs.extend(zip(labels.tolist(), wrong, strict=True))
                return

    def line(self) -> Line | None:
        """The labels seen of each class; to be drawn."""
        bars = {f"class {entry}": float(count) for entry, count in self.counts.items()}
        return Line(watched="photos seen, by class", bars=bars)

    def _is_uneven(self, step: int, name: str) -> bool:
        counts = self.counts
        rare = min(counts, key=lambda entry: counts[entry])
        frequent = max(counts, key=lambda entry: counts[entry])
        ratio = counts[frequent] / counts[rare]
        if ratio <= self.imbalance:
            return False
        sentence = (
            f"class {frequent} was seen {counts[frequent]} times, class {rare} {counts[rare]} times"
        )
        return self.fire(step, name, ratio, self.imbalance, sentence)

    def _is_mistaken(self, step: int, name: str) -> bool:
        total = sum(self.counts.values())
        mean = total / len(self.counts)
        rare = {entry for entry, count in self.counts.items() if count < mean / 2}
        mistakes: dict[int, list[bool]] = {}
        others = []
        for entry, wrong in self.pairs:
            if entry in rare:
                mistakes.setdefault(entry, []).append(wrong)
            else:
                others.append(wrong)
        shares = {entry: sum(wrong) / len(wrong) for entry, wrong in mistakes.items()}
        if not shares or (others and sum(others) / len(others) > self.others):
            return False
        worst = max(shares, key=lambda entry: shares[entry])
        if shares[worst] <= self.misprediction:
            return False
        sentence = (
            f"class {worst}, with {self.counts[worst]} of {total} labels, "
            "was mostly predicted wrongly"
        )
        return self.fire(step, name, shares[worst], self.misprediction, sentence)


class CheckInputImages(TensorRule):
    """Fires when the mean of a colour channel is further than `threshold_mean` from 0.

    The mean is over all photos, once `threshold_samples` of them were seen. With `one_sided` it
    fires only where all values of the channel lie on one side of 0, too: then nothing was
    subtracted. Preprocessing subtracts the mean of other photos (ImageNet's), so that of these
    photos is not 0: of drawings on white paper it is 1. channel: the axis of
    the channels in [N, C, H, W]. The documentation's regex is of a network of MXNet; where it
    matches nothing, the `inputs` collection that our hook saves is taken, else the root's
    `…_input_0`. Our hook keeps every few pixels of the first 512 photos, enough for a mean.
    """

    advice = (
        "subtract the data's mean and divide by its deviation, as the artifact's preprocessing "
        "does; a look at photos that are too dark or too bright"
    )
    needs = "inputs (debug_collections=samples)"
    sagemaker: ClassVar[dict[str, object]] = {"threshold_samples": 500, "one_sided": False}

    def __init__(
        self,
        base_trial: "JobTrial",
        *,
        threshold_mean: float = 0.2,
        threshold_samples: int = 100,
        regex: str = ".*hybridsequential0_input_0",
        channel: int = 1,
        one_sided: bool = True,
    ) -> None:
        super().__init__(base_trial)
        self.mean = threshold_mean
        self.samples = threshold_samples
        self.regex = regex
        self.channel = channel
        self.one_sided = one_sided
        # by channel, over all photos
        self.sums: NDArray[np.float64] | None = None
        self.lowest = np.zeros(0)
        self.highest = np.zeros(0)
        self.values = 0  # of each channel, over all photos
        self.photos = 0

    def invoke_at_step(self, step: int) -> bool:
        """Add the step's photos to the sums; compare the means once there are enough."""
        names = self._names(step)
        photos = self._photos(step, names)
        if photos is None:
            return False
        channels = photos.shape[self.channel]
        if self.sums is None:
            self.sums = np.zeros(channels)
            self.lowest = np.full(channels, np.inf)
            self.highest = np.full(channels, -np.inf)
        if self.sums.shape != (channels,):
            return False  # another input than before
        axes = tuple(axis for axis in range(4) if axis != self.channel % 4)
        self.sums += photos.astype(np.float64).sum(axes)
        self.lowest = np.minimum(self.lowest, photos.min(axes))
        self.highest = np.maximum(self.highest, photos.max(axes))
        self.values += photos.size // channels
        self.photos += len(photos)
        if self.photos < self.samples:
            self.needs = f"inputs of {self.samples} photos; {self.photos} were seen"
            return False
        self.count_step()
        means = self.sums / self.values
        suspects = np.abs(means)
        if self.one_sided:
            subtracted = (self.lowest < 0) & (self.highest > 0)
            suspects = np.where(subtracted, 0.0, suspects)
        worst = int(suspects.argmax())
        if not suspects[worst] > self.mean:  # NaN is ExplodingTensor's
            return False
        sentence = (
            f"channel {worst} has the mean {means[worst]:.3g} over {self.photos} photos: "
            "not normalized"
        )
        return self.fire(step, names[0], means[worst], self.mean, sentence)

    def line(self) -> Line | None:
        """The mean of each channel; to be drawn."""
        if self.sums is None:
            return None
        means = (self.sums / self.values).tolist()
        bars = {f"channel {number}": mean for number, mean in enumerate(means)}
        return Line(watched="mean of each colour channel", bars=bars)

    def _names(self, step: int) -> list[str]:
        return (
            self.names(step, (), self.regex)
            or self.names(step, ("inputs",))
            or self.names(step, (), r"^[^.]+_input_0$")
        )

    def _photos(self, step: int, names: list[str]) -> Array | None:
        """The first of the tensors that has the four axes of photos."""
        for name in names:
            value = self.value(name, step)
            if value is not None and value.ndim == 4:
                return value
        return None


def classes_of(values: Array | None, argmax: bool = False) -> Classes | None:
    """Class numbers, int64 [N], from saved values; of [N, C] the largest where `argmax`.

    None when the values cannot be class numbers.
    """
    if values is None or not values.size:
        return None
    if values.ndim == 2 and values.shape[1] == 1:
        values = np.squeeze(values, axis=1)
    if values.ndim == 2 and argmax:
        values = values.argmax(1)
    if values.ndim != 1:
        return None
    if not np.isfinite(values).all() or (values < 0).any():
        return None
    return np.rint(values).astype(np.int64)


def _count(counts: dict[int, int], classes: Classes) -> None:
    for entry, number in zip(*np.unique(classes, return_counts=True), strict=True):
        counts[int(entry)] = counts.get(int(entry), 0) + int(number)
