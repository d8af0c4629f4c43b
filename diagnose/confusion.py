"""The rule on which classes a network takes for others.

Definition and defaults: SageMaker's list of Debugger built-in rules,
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from smdebug.core.modes import ModeKeys

from diagnose.data import PAIRS, Classes, classes_of
from diagnose.rule import TensorRule

if TYPE_CHECKING:
    from diagnose.trial import JobTrial


class Confusion(TensorRule):
    """Fires when a class is recognized too seldom, or another one is taken for it too often.

    Of the matrix C[label][prediction], C[i][i] / sum_j C[i][j] is below `min_diag`, or a
    C[j][i] / sum_j C[j][i], the share of the predictions i that are of class j, is above
    `max_off_diag`.

    The documentation divides the diagonal by the sum of the diagonal, by which ten balanced classes
    could never pass; its own test divides by the row, and so does this. When is "the matrix fully
    populated"? Chosen: after a validation pass; without validation, after each saved training step.
    labels and predictions: parts of the tensors' names; category_no: the number of classes, else
    the largest class seen. Classes without labels are left out.
    """

    advice = (
        "a look at the two classes' photos and labels: they may be mixed up, or too alike for "
        "image_size; more photos of them; more trainable layers"
    )
    needs = PAIRS

    def __init__(
        self,
        base_trial: "JobTrial",
        *,
        category_no: int | None = None,
        labels: str = "labels",
        predictions: str = "predictions",
        labels_collection: str = "labels",
        predictions_collection: str = "predictions",
        min_diag: float = 0.9,
        max_off_diag: float = 0.1,
    ) -> None:
        super().__init__(base_trial)
        self.category_no = category_no
        self.min_diag = min_diag
        self.max_off_diag = max_off_diag
        self.labels_source = (labels, labels_collection)
        self.predictions_source = (predictions, predictions_collection)
        # of the pass under way, batch by batch
        self.labels: list[Classes] = []
        self.predictions: list[Classes] = []
        self.last = 0  # the step of the newest of these

    def invoke_at_step(self, step: int) -> bool:
        """Gather the step's pairs; evaluate them at the end of a pass."""
        is_validation = self.mode_of(step) is ModeKeys.EVAL
        has_validation = ModeKeys.EVAL in self.base_trial.modes()
        if has_validation and not is_validation:
            # the pass before this step has ended
            return bool(self.labels) and self._evaluate(self.last)
        self._gather(step)
        if not self.labels:
            return False
        if has_validation and not self._is_last(step):
            return False
        return self._evaluate(step)

    def _gather(self, step: int) -> None:
        labels = self._classes(step, self.labels_source)
        predictions = self._classes(step, self.predictions_source)
        if labels is None or predictions is None or labels.shape != predictions.shape:
            return
        self.labels.append(labels)
        self.predictions.append(predictions)
        self.last = step

    def _classes(self, step: int, source: tuple[str, str]) -> Classes | None:
        name, collection = source
        names = self.names(step, (collection,), name)
        if not names:
            return None
        return classes_of(self.value(names[0], step), argmax=True)

    def _is_last(self, step: int) -> bool:
        steps = self.base_trial.steps()
        return bool(self.base_trial.loaded_all_steps and steps and steps[-1] == step)

    def _evaluate(self, step: int) -> bool:
        self.count_step()
        matrix = self._matrix()
        rows = matrix.sum(1)
        columns = matrix.sum(0)
        recall = np.where(rows > 0, np.diag(matrix) / np.maximum(rows, 1), 1.0)
        worst = int(recall.argmin())
        if recall[worst] < self.min_diag:
            sentence = (
                f"of {rows[worst]} photos of class {worst} only {matrix[worst, worst]} "
                "are recognized"
            )
            return self.fire(step, "labels", recall[worst], self.min_diag, sentence)
        off = matrix / np.maximum(columns, 1)
        np.fill_diagonal(off, 0)
        label, prediction = np.unravel_index(off.argmax(), off.shape)
        share = off[label, prediction]
        if share <= self.max_off_diag:
            return False
        sentence = (
            f"{matrix[label, prediction]} of {columns[prediction]} predictions "
            f"of class {prediction} are of class {label}"
        )
        return self.fire(step, "labels", share, self.max_off_diag, sentence)

    def _matrix(self) -> NDArray[np.int64]:
        """The confusion matrix [label, prediction] of the pass, which is over with that."""
        labels = np.concatenate(self.labels)
        predictions = np.concatenate(self.predictions)
        self.labels = []
        self.predictions = []
        largest = max(int(labels.max(initial=0)), int(predictions.max(initial=0)))
        size = max(self.category_no or 0, largest + 1)
        matrix = np.zeros((size, size), np.int64)
        np.add.at(matrix, (labels, predictions), 1)
        return matrix
