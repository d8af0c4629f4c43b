"""Logistic regression with an L2 penalty, solved to its optimum by preconditioned L-BFGS.

One label per photo: multinomial regression. Several: one binary regression per label. The loss is
the weighted mean over the photos plus strength / 2 * |weights|^2, over standardised features. The
bias is not penalised.

L-BFGS after Nocedal and Wright, Numerical Optimization (2006), algorithms 7.4 and 7.5. The Hessian
of the loss is about curvature * covariance of the features, so that its inverse makes a few steps
enough. torch's and scipy's L-BFGS take no preconditioner, and compute each product twice.

Along a path of strengths a solution starts where the two before point to, with their curvature: the
optimum moves evenly, and a change of the penalty alters the Hessian by a known term alone.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

MEMORY = 10  # steps that the Hessian is estimated from
MAX_STEPS = 50  # per strength; a handful is usual
TOLERANCE = 1e-5  # of the loss: what one more step promises to save
ARMIJO = 1e-4  # share of the promised saving that a step must bring
SHORTEST = 2.0**-20  # share of a step
LEAST_DEVIATION = 1e-6  # of a feature, as a share of the largest deviation
ROUNDING = 1e-6  # share of the mean diagonal that keeps a Hessian of float32 positive definite


@dataclass(frozen=True)
class Head:
    """Of the penalised layer: weight float32 [D, classes] and bias float32 [classes]."""

    weight: torch.Tensor
    bias: torch.Tensor

    def along(self, direction: "Head", share: float) -> "Head":
        """A share of a step from here."""
        weight = torch.add(self.weight, direction.weight, alpha=share)
        return Head(weight, torch.add(self.bias, direction.bias, alpha=share))

    def scaled(self, factor: float) -> "Head":
        return Head(self.weight * factor, self.bias * factor)

    def dot(self, other: "Head") -> float:
        """The scalar product."""
        weights = torch.sum(self.weight * other.weight, dtype=torch.float64)
        return float(weights + torch.sum(self.bias * other.bias, dtype=torch.float64))


@dataclass(frozen=True)
class _Pair:
    """A step, and how the gradient changed by it."""

    step: Head
    change: Head
    product: float  # of both

    def with_more(self, strength: float) -> "_Pair":
        """The same step under a penalty that is stronger by so much."""
        weight = torch.add(self.change.weight, self.step.weight, alpha=strength)
        change = Head(weight, self.change.bias)
        return _Pair(self.step, change, self.step.dot(change))


@dataclass(frozen=True)
class _Point:
    """A head, its logits [N, classes], its penalised loss and gradient."""

    head: Head
    logits: torch.Tensor
    loss: float
    gradient: Head


Precondition = Callable[[list[Head]], list[Head]]


class LogisticRegression:
    """The regression of some features, from the strongest penalty to the weakest.

    features: float32 [n, D], this process's rows. targets: float32 [n, classes]. weights: float32
    [n, 1], or [n, classes] with multi_label. total: the rows of all processes. sum_across: sums a
    tensor over the processes. alike: the features keep their sizes beside each other; all are
    divided by one number, in place of each by its own deviation.
    """

    def __init__(
        self,
        features: torch.Tensor,
        targets: torch.Tensor,
        weights: torch.Tensor,
        multi_label: bool,
        total: int,
        sum_across: Callable[[torch.Tensor], torch.Tensor],
        alike: bool = False,
    ):
        self._targets = targets
        self._weights = weights / total
        self._multi_label = multi_label
        self._sum = sum_across
        self.mean = self._sum(features.sum(0, dtype=torch.float64)) / total
        centred = features - self.mean.float()
        variance = self._sum(centred.square().sum(0, dtype=torch.float64)) / total
        if alike:
            variance = variance.mean().expand_as(variance)
        deviation = variance.sqrt()
        least = LEAST_DEVIATION * float(deviation.max())
        # A feature that never changes says nothing: its weight stays 0.
        self.deviation = torch.where(deviation > least, deviation, math.inf)
        self._rows = centred.div_(self.deviation.float())
        row_weights = self._weights.mean(1, keepdim=True)
        self._covariance = self._sum(self._rows.T @ (self._rows * row_weights))
        classes = targets.shape[1]
        self.head = Head(
            features.new_zeros(features.shape[1], classes), features.new_zeros(classes)
        )
        self._logits = torch.zeros_like(targets)
        self._before: tuple[Head, torch.Tensor] | None = None  # the optimum before, its logits
        self._pairs: list[_Pair] = []  # of the last strength
        self._strength = 0.0

    def solve(self, strength: float, stop: Callable[[], bool] = lambda: False) -> bool:
        """Move the head to the optimum of this strength, from where it is; False when stopped."""
        point = self._start(strength)
        precondition = self._preconditioner(point.logits, strength)
        pairs = self._known_pairs(strength)
        for _ in range(MAX_STEPS):
            if stop():
                return False
            direction = _direction(point.gradient, pairs, precondition)
            saving = -point.gradient.dot(direction)
            if saving <= TOLERANCE * abs(point.loss):
                break
            following = self._search(point, direction, saving, strength)
            if following is None:
                break
            step = following.head.along(point.head, -1)
            change = following.gradient.along(point.gradient, -1)
            product = step.dot(change)
            if product > 0:
                pairs.append(_Pair(step, change, product))
            point = following
        if self._strength:
            self._before = (self.head, self._logits)
        self.head = point.head
        self._logits = point.logits
        self._pairs = list(pairs)
        self._strength = strength
        return True

    def logits(self) -> torch.Tensor:
        """Those of the features themselves, float32 [n, classes]."""
        return self._logits

    def layer(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight [classes, D] and bias [classes] of a linear layer over features as they are."""
        weight = self.head.weight.double() / self.deviation[:, None]
        bias = self.head.bias.double() - self.mean @ weight
        return weight.T.float().contiguous(), bias.float()

    def _start(self, strength: float) -> _Point:
        """Where the last two optima point to, if that is better than the last one itself.

        Strengths fall by the same factor each, and the optimum moves about evenly.
        """
        slopes, losses = self._slopes(self._logits)
        if self._before:
            head, logits = self._before
            ahead = self.head.along(self.head.along(head, -1), 1)
            ahead_logits = self._logits * 2 - logits
            ahead_slopes, ahead_losses = self._slopes(ahead_logits)
            lowest = self._penalised(losses, self.head, strength)
            if self._penalised(ahead_losses, ahead, strength) < lowest:
                return self._point(ahead, ahead_logits, ahead_losses, ahead_slopes, strength)
        return self._point(self.head, self._logits, losses, slopes, strength)

    def _known_pairs(self, strength: float) -> deque[_Pair]:
        """The last strength's, whose changes the penalty alone has altered."""
        moved = [pair.with_more(strength - self._strength) for pair in self._pairs]
        return deque((pair for pair in moved if pair.product > 0), maxlen=MEMORY)

    def _search(
        self, point: _Point, direction: Head, saving: float, strength: float
    ) -> _Point | None:
        """The first of 1, 1/2, 1/4 … of a step that saves enough; None when rounding hides it."""
        ahead = self._rows @ direction.weight + direction.bias
        share = 1.0
        while share >= SHORTEST:
            logits = torch.add(point.logits, ahead, alpha=share)
            head = point.head.along(direction, share)
            slopes, losses = self._slopes(logits)
            if self._penalised(losses, head, strength) <= point.loss - ARMIJO * share * saving:
                return self._point(head, logits, losses, slopes, strength)
            share /= 2
        return None

    def _slopes(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss's slopes by the logits [n, classes], and this process's loss, a float64."""
        if self._multi_label:
            losses = functional.binary_cross_entropy_with_logits(
                logits, self._targets, self._weights, reduction="none"
            )
            likely = torch.sigmoid(logits)
        else:
            logarithms = torch.log_softmax(logits, 1)
            losses = -(logarithms * self._targets).sum(1, keepdim=True) * self._weights
            likely = logarithms.exp_()
        return likely.sub_(self._targets).mul_(self._weights), losses.sum(dtype=torch.float64)

    def _penalised(self, losses: torch.Tensor, head: Head, strength: float) -> float:
        squares = torch.sum(head.weight.square(), dtype=torch.float64)
        return float(self._sum(losses)) + strength / 2 * float(squares)

    def _point(
        self,
        head: Head,
        logits: torch.Tensor,
        losses: torch.Tensor,
        slopes: torch.Tensor,
        strength: float,
    ) -> _Point:
        weight = self._sum(self._rows.T @ slopes).add_(head.weight, alpha=strength)
        gradient = Head(weight, self._sum(slopes.sum(0)))
        return _Point(head, logits, self._penalised(losses, head, strength), gradient)

    def _preconditioner(self, logits: torch.Tensor, strength: float) -> Precondition:
        """The inverse of about the Hessian at a point of these logits."""
        likely = torch.sigmoid(logits) if self._multi_label else logits.softmax(1)
        sums = torch.stack([(likely * (1 - likely)).sum(), likely.new_tensor(likely.numel())])
        total, count = self._sum(sums).tolist()
        curvature = max(total / count, 1e-6)
        hessian = curvature * self._covariance
        hessian.diagonal().add_(strength + ROUNDING * float(hessian.diagonal().mean()))
        triangle = torch.linalg.cholesky(hessian)

        def precondition(heads: list[Head]) -> list[Head]:
            # One solve for all: a wide right side takes less time than two narrow ones.
            columns = torch.cat([head.weight for head in heads], 1)
            solved = torch.cholesky_solve(columns, triangle).chunk(len(heads), 1)
            biases = [head.bias / curvature for head in heads]
            return [Head(*parts) for parts in zip(solved, biases, strict=True)]

        return precondition


def _direction(gradient: Head, pairs: deque[_Pair], precondition: Precondition) -> Head:
    """Down from here, by the gradient and what the last steps told of the Hessian."""
    shares = []
    left = gradient
    for pair in reversed(pairs):
        share = pair.step.dot(left) / pair.product
        left = left.along(pair.change, -share)
        shares.append(share)
    if not pairs:
        return precondition([left])[0].scaled(-1)
    newest = pairs[-1]
    direction, curved = precondition([left, newest.change])
    direction = direction.scaled(newest.product / newest.change.dot(curved))
    for pair, share in zip(pairs, reversed(shares), strict=True):
        back = pair.change.dot(direction) / pair.product
        direction = direction.along(pair.step, share - back)
    return direction.scaled(-1)
