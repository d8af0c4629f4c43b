"""Rules on what goes in and what comes out: photos, labels, predictions.

Definitions and defaults: SageMaker's list of Debugger built-in rules,
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html
"""

import numpy as np
from smdebug.core.modes import ModeKeys

from diagnose.rule import TensorRule

PAIRS = "labels and predictions (debug_collections=samples)"


class ClassImbalance(TensorRule):
    """Once `samples` training labels were seen: fires when the most frequent class has more than `threshold_imbalance` times the labels of the
    rarest, or when more than `threshold_misprediction` of an underrepresented class's photos were predicted wrongly.

    argmax: True where predictions are logits or probabilities [N, C]. Vague in the documentation: mispredictions "of each class", but "for
    underrepresented classes as a result of the imbalance"; chosen is the second, a class being underrepresented with less than half the mean number of
    labels. Else every untrained network would fire. Classes are those that were seen; labels of validation are looked at where none of training were saved.
    """

    advice = (
        "class_weights=balanced, more photos of the rare classes, or fewer of the frequent ones"
    )
    needs = PAIRS

    def __init__(
        self,
        base_trial,
        *,
        threshold_imbalance: float = 10.0,
        threshold_misprediction: float = 0.7,
        samples: int = 500,
        argmax: bool = False,
        labels_regex: str = ".*labels",
        predictions_regex: str = ".*predictions",
    ):
        super().__init__(base_trial)
        self.imbalance, self.misprediction, self.samples, self.argmax = (
            threshold_imbalance,
            threshold_misprediction,
            samples,
            argmax,
        )
        self.labels_regex, self.predictions_regex = labels_regex, predictions_regex
        self.counts: dict[int, int] = {}
        self.paired: dict[int, int] = {}
        self.wrong: dict[int, int] = {}

    def invoke_at_step(self, step: int) -> bool:
        if self.mode_of(step) is not ModeKeys.TRAIN and ModeKeys.TRAIN in self.base_trial.modes():
            return False
        names = self.names(step, (), self.labels_regex)
        for name in names:
            labels = classes_of(self.value(name, step))
            if labels is not None:
                _count(self.counts, labels)
                self._pair(step, labels)
        seen = sum(self.counts.values())
        if seen < self.samples:
            self.needs = f"{PAIRS} of {self.samples} photos; {seen} were seen"
            return False
        if not names:
            return False
        self.count_step()
        return self._uneven(step, names[0]) or self._mistaken(step, names[0])

    def _pair(self, step: int, labels: np.ndarray) -> None:
        for name in self.names(step, (), self.predictions_regex):
            predictions = classes_of(self.value(name, step), self.argmax)
            if predictions is not None and predictions.shape == labels.shape:
                _count(self.paired, labels)
                _count(self.wrong, labels[predictions != labels])
                return

    def _uneven(self, step: int, name: str) -> bool:
        rare, frequent = (
            min(self.counts, key=self.counts.get),
            max(self.counts, key=self.counts.get),
        )
        ratio = self.counts[frequent] / self.counts[rare]
        return ratio > self.imbalance and self.fire(
            step,
            name,
            ratio,
            self.imbalance,
            f"class {frequent} was seen {self.counts[frequent]} times, class {rare} {self.counts[rare]} times",
        )

    def _mistaken(self, step: int, name: str) -> bool:
        mean = sum(self.counts.values()) / len(self.counts)
        shares = {
            entry: self.wrong.get(entry, 0) / self.paired[entry]
            for entry in self.paired
            if self.counts[entry] < mean / 2
        }
        worst = max(shares, key=shares.get, default=None)
        return (
            worst is not None
            and shares[worst] > self.misprediction
            and self.fire(
                step,
                name,
                shares[worst],
                self.misprediction,
                f"class {worst}, with {self.counts[worst]} of {sum(self.counts.values())} labels, was mostly predicted wrongly",
            )
        )


class Confusion(TensorRule):
    """Fills the matrix C[label][prediction] and fires when a class's C[i][i] / sum_j C[i][j] is below `min_diag`, or a C[j][i] / sum_j C[j][i], the
    share of the predictions i that are of class j, is above `max_off_diag`.

    The documentation divides the diagonal by the sum of the diagonal, by which ten balanced classes could never pass; its own test divides by the row, and so
    does this. When is "the matrix fully populated"? Chosen: after a validation pass; where there is none, after each saved training step. labels and
    predictions: parts of the tensors' names; category_no: the number of classes, else the largest class seen. Classes without labels are not judged.
    """

    advice = "a look at the two classes' photos and labels: they may be mixed up, or too alike for image_size; more photos of them; more trainable layers"
    needs = PAIRS

    def __init__(
        self,
        base_trial,
        *,
        category_no: int | None = None,
        labels: str = "labels",
        predictions: str = "predictions",
        labels_collection: str = "labels",
        predictions_collection: str = "predictions",
        min_diag: float = 0.9,
        max_off_diag: float = 0.1,
    ):
        super().__init__(base_trial)
        self.category_no, self.min_diag, self.max_off_diag = category_no, min_diag, max_off_diag
        self.sources = {
            "labels": (labels, labels_collection),
            "predictions": (predictions, predictions_collection),
        }
        self.pairs: list[tuple[np.ndarray, np.ndarray]] = []

    def invoke_at_step(self, step: int) -> bool:
        mode = self.mode_of(step)
        validated = ModeKeys.EVAL in self.base_trial.modes()
        ended = step if self.pairs and validated and mode is not ModeKeys.EVAL else None
        fired = self._judge(self.last) if ended is not None else False
        if validated and mode is not ModeKeys.EVAL:
            return fired
        found = {
            what: self.names(step, (collection,), name)
            for what, (name, collection) in self.sources.items()
        }
        labels, predictions = (
            classes_of(self.value(found[what][0], step), argmax=True) if found[what] else None
            for what in ("labels", "predictions")
        )
        if labels is not None and predictions is not None and labels.shape == predictions.shape:
            self.pairs.append((labels, predictions))
            self.last = step
        steps = self.base_trial.steps()
        at_end = self.base_trial.loaded_all_steps and steps and steps[-1] == step
        return self._judge(step) or fired if self.pairs and (not validated or at_end) else fired

    def _judge(self, step: int) -> bool:
        labels, predictions = (np.concatenate(part) for part in zip(*self.pairs))
        self.pairs = []
        self.count_step()
        size = max(
            self.category_no or 0,
            int(labels.max(initial=0)) + 1,
            int(predictions.max(initial=0)) + 1,
        )
        matrix = np.zeros((size, size), np.int64)
        np.add.at(matrix, (labels, predictions), 1)
        rows, columns = matrix.sum(1), matrix.sum(0)
        recall = np.where(rows > 0, np.diag(matrix) / np.maximum(rows, 1), 1.0)
        worst = int(recall.argmin())
        if recall[worst] < self.min_diag:
            return self.fire(
                step,
                "labels",
                recall[worst],
                self.min_diag,
                f"of {rows[worst]} photos of class {worst} only {matrix[worst, worst]} are recognized",
            )
        off = matrix / np.maximum(columns, 1)
        np.fill_diagonal(off, 0)
        label, prediction = np.unravel_index(off.argmax(), off.shape)
        return off[label, prediction] > self.max_off_diag and self.fire(
            step,
            "labels",
            off[label, prediction],
            self.max_off_diag,
            f"{matrix[label, prediction]} of {columns[prediction]} predictions of class {prediction} are of class {label}",
        )


class CheckInputImages(TensorRule):
    """Once `threshold_samples` photos were seen: fires when the mean of a colour channel, over them all, is further than `threshold_mean` from 0.

    channel: the axis of the channels in [N, C, H, W]. The documentation's regex is of a network of MXNet; where it matches nothing, the `inputs` collection
    that our hook saves is taken, else the root's `…_input_0`. Our hook keeps every few pixels of the first 512 photos, enough for a mean.
    """

    advice = "subtract the data's mean and divide by its deviation, as the artifact's preprocessing does; a look at photos that are too dark or too bright"
    needs = "inputs (debug_collections=samples)"

    def __init__(
        self,
        base_trial,
        *,
        threshold_mean: float = 0.2,
        threshold_samples: int = 500,
        regex: str = ".*hybridsequential0_input_0",
        channel: int = 1,
    ):
        super().__init__(base_trial)
        self.mean, self.samples, self.regex, self.channel = (
            threshold_mean,
            threshold_samples,
            regex,
            channel,
        )
        self.sums: np.ndarray | float = 0.0
        self.values = self.photos = 0

    def invoke_at_step(self, step: int) -> bool:
        names = (
            self.names(step, (), self.regex)
            or self.names(step, ("inputs",))
            or self.names(step, (), r"^[^.]+_input_0$")
        )
        photos = next(
            (
                value
                for name in names
                if (value := self.value(name, step)) is not None and value.ndim == 4
            ),
            None,
        )
        if photos is None:
            return False
        axes = tuple(axis for axis in range(4) if axis != self.channel % 4)
        if np.shape(self.sums) not in ((), (photos.shape[self.channel],)):
            return False  # another input than before
        self.sums = self.sums + photos.astype(np.float64).sum(axes)
        self.values += photos.size // photos.shape[self.channel]
        self.photos += len(photos)
        if self.photos < self.samples:
            self.needs = f"inputs of {self.samples} photos; {self.photos} were seen"
            return False
        self.count_step()
        means = self.sums / self.values
        worst = int(np.abs(means).argmax())
        return abs(means[worst]) > self.mean and self.fire(
            step,
            names[0],
            means[worst],
            self.mean,
            f"channel {worst} has the mean {means[worst]:.3g} over {self.photos} photos: not normalized",
        )


def classes_of(values: np.ndarray | None, argmax: bool = False) -> np.ndarray | None:
    """Class numbers, int64 [N], from what was saved; of [N, C] the largest where `argmax`. None when that makes no sense."""
    if values is None or not values.size:
        return None
    values = np.squeeze(values, axis=1) if values.ndim == 2 and values.shape[1] == 1 else values
    if values.ndim == 2 and argmax:
        values = values.argmax(1)
    values = values.reshape(-1) if values.ndim == 1 else None
    if values is None or not np.isfinite(values).all() or (values < 0).any():
        return None
    return np.rint(values).astype(np.int64)


def _count(counts: dict[int, int], classes: np.ndarray) -> None:
    for entry, number in zip(*np.unique(classes, return_counts=True)):
        counts[int(entry)] = counts.get(int(entry), 0) + int(number)
