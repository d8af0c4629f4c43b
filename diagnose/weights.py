"""Rules on how weights, or any tensors, change: from step to step and from run to run.

Definitions and defaults: SageMaker's list of Debugger built-in rules,
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html
Where the hook kept a sample of a large tensor, "the tensor" is that sample: the same places at every step.
"""

import numpy as np

from diagnose.rule import TensorRule


class WeightUpdateRatio(TensorRule):
    """Fires when a weight's update is above `large_threshold` or below `small_threshold` times the weight: mean |w_s - w_p| / (mean |w_p| + epsilon).

    p is the saved step before s; with `num_steps` the earliest saved one from s - num_steps on. Vague in the documentation: the norm; chosen is the
    mean of absolute values, which needs no size. Left out: frozen weights (their ratio is 0 on purpose; known by having no saved gradient),
    and weights that were all 0, against which any update is endless.
    """

    advice = "too large: a lower lr, warmup_epochs. Too small: a higher lr, a look at what is frozen, at vanishing gradients and at the lr schedule's end"
    needs = "weights at two steps (debug_collections=weights)"

    def __init__(
        self,
        base_trial,
        *,
        num_steps: int | None = None,
        large_threshold: float = 10.0,
        small_threshold: float = 1e-8,
        epsilon: float = 1e-9,
    ):
        super().__init__(base_trial)
        self.num_steps, self.large, self.small, self.epsilon = (
            num_steps,
            large_threshold,
            small_threshold,
            epsilon,
        )
        self.steps: dict[
            str, list[tuple[int, int]]
        ] = {}  # by mode: saved steps, in the mode's count and of all forward passes

    def invoke_at_step(self, step: int) -> bool:
        mode, mode_step = self.base_trial.mode_modestep(step)
        names = self.trained(self.names(step, ("weights",)))
        if not names:
            return False
        earlier = self.steps.setdefault(mode.name, [])
        if self.num_steps is not None:
            earlier[:] = [entry for entry in earlier if entry[0] >= mode_step - self.num_steps]
        before = earlier[0 if self.num_steps is not None else -1][1] if earlier else None
        earlier.append((mode_step, step))
        if before is None:
            return False
        ratios = {
            name: ratio for name in names if (ratio := self._ratio(name, before, step)) is not None
        }
        if not ratios:
            return False
        self.count_step()
        low, high = min(ratios, key=ratios.get), max(ratios, key=ratios.get)
        if ratios[high] > self.large:
            return self.fire(
                step,
                high,
                ratios[high],
                self.large,
                "this weight is overwritten rather than updated",
            )
        small = sum(ratio < self.small for ratio in ratios.values())
        return small > 0 and self.fire(
            step, low, ratios[low], self.small, f"{small} of {len(ratios)} weights hardly change"
        )

    def _ratio(self, name: str, before: int, step: int) -> float | None:
        old, new = self.value(name, before), self.value(name, step)
        if old is None or new is None or old.shape != new.shape or not np.any(old):
            return None
        with np.errstate(all="ignore"):
            ratio = float(np.abs(new - old).mean() / (np.abs(old).mean() + self.epsilon))
        return ratio if np.isfinite(ratio) else None  # NaN is ExplodingTensor's


class UnchangedTensor(TensorRule):
    """Fires when the last `num_steps` saved values of a tensor are all close to each other, as numpy.allclose has it (rtol, atol, equal_nan).

    Documented is that collection_names or tensor_regex must be given. Here, without either, it fires when a loss stands still, or all trained weights
    do: single ones, such as BatchNorm's scales of 1, move by less than rtol in many a sound training. Steps of one mode are compared with each other.
    """

    advice = "a higher lr; a look at what is frozen, at gradients of 0 and at whether the optimizer has these parameters"
    needs = "a tensor at num_steps steps"

    def __init__(
        self,
        base_trial,
        *,
        collection_names: str | None = None,
        tensor_regex: str | None = None,
        num_steps: int = 3,
        rtol: float = 1e-05,
        atol: float = 1e-08,
        equal_nan: bool = False,
    ):
        super().__init__(base_trial)
        self.collections = collection_names.split(",") if collection_names else []
        self.regex, self.num_steps, self.chosen = (
            tensor_regex,
            num_steps,
            bool(collection_names or tensor_regex),
        )
        self.closeness = {"rtol": rtol, "atol": atol, "equal_nan": equal_nan}
        self.last: dict[tuple[str, str], list[np.ndarray]] = {}

    def invoke_at_step(self, step: int) -> bool:
        mode = self.mode_of(step).name
        names = (
            self.names(step, self.collections, self.regex)
            if self.chosen
            else self.trained(self.names(step, ("weights",)))
            + (self.names(step, ("losses",)) if mode != "EVAL" else [])
        )
        unchanged, looked = [], False
        for name in names:
            value = self.value(name, step)
            if value is None:
                continue
            kept = self.last.setdefault((mode, name), [])
            kept.append(value)
            del kept[: -self.num_steps]
            if len(kept) == self.num_steps:
                looked = True
                if all(
                    old.shape == value.shape and np.allclose(value, old, **self.closeness)
                    for old in kept[:-1]
                ):
                    unchanged.append(name)
        if looked:
            self.count_step()
        weights = set(names) - set(self.names(step, ("losses",)))
        if not self.chosen and not weights <= set(unchanged):
            unchanged = [name for name in unchanged if name not in weights]
        if not unchanged:
            return False
        old, new = (self.last[mode, unchanged[0]][index].astype(np.float64) for index in (0, -1))
        let_pass = self.closeness["atol"] + self.closeness["rtol"] * np.abs(old).max(initial=0.0)
        return self.fire(
            step,
            unchanged[0],
            np.abs(new - old).max(initial=0.0),
            let_pass,
            f"{len(unchanged)} of {len(names)} tensors have not changed over {self.num_steps} saved steps",
        )


class AllZero(TensorRule):
    """Fires when at least `threshold` percent of a tensor's values are 0.

    Documented is that collection_names or tensor_regex must be given. Here, without either, gradients and trained weights are looked at, biases
    not: they start at 0 by custom. Of a tensor saved as reductions only, it is known whether all is 0 (its largest absolute value), and that is used.
    """

    advice = "a look at dead ReLUs, at the initialization and at what is cut off from the loss (detached, masked, or behind an activation that is 0)"
    needs = "gradients or weights (debug_collections=gradients,weights)"

    def __init__(
        self,
        base_trial,
        *,
        collection_names: str | None = None,
        tensor_regex: str | None = None,
        threshold: float = 100.0,
    ):
        super().__init__(base_trial)
        self.collections = collection_names.split(",") if collection_names else []
        self.regex, self.threshold = tensor_regex, threshold

    def invoke_at_step(self, step: int) -> bool:
        if self.collections or self.regex:
            names = self.names(step, self.collections, self.regex)
        else:
            names = [
                name for name in self.names(step, ("gradients",)) if not name.endswith(".bias")
            ] + self.trained(self.names(step, ("weights",)))
        shares = {name: share for name in names if (share := self._zeros(name, step)) is not None}
        if not shares:
            return False
        self.count_step()
        most = max(shares, key=shares.get)
        count = sum(share >= self.threshold for share in shares.values())
        return count > 0 and self.fire(
            step,
            most,
            shares[most],
            self.threshold,
            f"{count} of {len(shares)} tensors are {shares[most]:.4g} % zeros",
        )

    def _zeros(self, name: str, step: int) -> float | None:
        largest = self.reductions(name, step).get(("max", True))
        if largest == 0:
            return 100.0
        value = self.value(name, step)
        if value is None or not value.size:
            return None if largest is None else 0.0
        share = 100.0 * float((value == 0).mean())
        # a sample can be all 0 where the tensor is not
        return min(share, np.nextafter(100.0, 0)) if largest else share


class SimilarAcrossRuns(TensorRule):
    """Compares tensors with those of another run at the same step and, as documented, fires when they DIFFER.

    other_trials (required): the other runs' output folders, with commas between. Vague in the documentation: when two are similar. Chosen:
    numpy.allclose with its own tolerances, which lets arithmetic in another order pass. Without collection_names or tensor_regex all
    tensors are looked at. A tensor that the other run did not save at the step is not compared; a tensor of another shape differs.
    """

    advice = "the same seed, data, versions and thread count in both runs; the first step and tensor that differ show where the runs part"
    needs = "tensors that both runs saved at the same step"

    def __init__(
        self,
        base_trial,
        *,
        other_trials: str,
        collection_names: str | None = None,
        tensor_regex: str | None = None,
    ):
        super().__init__(base_trial, other_trials)
        self.collections = collection_names.split(",") if collection_names else []
        self.regex = tensor_regex or (None if self.collections else ".*")

    def invoke_at_step(self, step: int) -> bool:
        names = self.names(step, self.collections, self.regex)
        different, compared = {}, set()
        for other in self.other_trials:
            theirs = set(other.tensor_names(step=step))
            for name in [name for name in names if name in theirs]:
                distance = self._distance(name, step, other)
                if distance is not None:
                    compared.add(name)
                    if distance > 0:
                        different[name] = max(distance, different.get(name, 0.0))
        if not compared:
            return False
        self.count_step()
        if not different:
            return False
        first = max(different, key=different.get)
        return self.fire(
            step,
            first,
            different[first],
            0.0,
            f"{len(different)} of {len(compared)} tensors differ from the other run's",
        )

    def _distance(self, name: str, step: int, other) -> float | None:
        ours = self.value(name, step)
        if ours is None:
            reductions, theirs = self.reductions(name, step), {}
            for kind, absolute in reductions:
                theirs[kind, absolute] = float(
                    other.tensor(name).reduction_value(step, kind, abs=absolute)
                )
            ours, value = np.array(list(reductions.values())), np.array(list(theirs.values()))
        else:
            value = np.asarray(other.tensor(name).value(step))
        if not ours.size:
            return None
        if ours.shape != value.shape:
            return np.inf
        if np.allclose(ours, value, equal_nan=True):
            return 0.0
        with np.errstate(all="ignore"):
            return float(
                np.nanmax(
                    np.abs(ours.astype(np.float64) - value.astype(np.float64)),
                    initial=np.finfo(np.float64).tiny,
                )
            )
