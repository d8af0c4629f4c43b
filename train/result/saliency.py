"""Where in a photo a network saw its answer: HiResCAM, for convolutional networks and transformers.

The features of the last layer that still has places are multiplied by the gradient of the answer's
logit, and summed over the channels (Draelos and Carin 2020). Behind average pooling and one linear
layer it is Grad-CAM. For a transformer the places are its patches, at the last normalisation whose
patches reach the answer.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from artifact.networks.network import Normalize
from artifact.photos.preprocessing import Preprocessing
from train.learning.fit import Fit
from train.model.trainable import head_name
from train.result.measure import Answers
from train.result.report_photos import MOST_WORST, Map, Seen, mistakes

MOST_S = 20.0  # for all photos; each takes a forward and a backward pass
LATEST = 12  # layers that are looked at, from the last one on
FEWEST_PLACES = 2  # on a side
# Their values are of no places, or of others: of attention's heads, or one for each pair of places.
WITHOUT_PLACES = (nn.Identity, nn.Dropout, nn.Linear, nn.Softmax)
OF_HEADS = ("q_norm", "k_norm")

Places = Callable[[torch.Tensor], torch.Tensor]  # of a layer's values, to [H, W, D]

log = logging.getLogger(__name__)


def saliency_of_worst(
    plan: Fit, measured: Sequence[Answers], stop: Callable[[], bool]
) -> dict[Path, Seen]:
    """`saliency` of the worst mistakes that the report shows, on the training's own device."""
    if not measured or stop():
        return {}
    answers = measured[-1].for_report()
    found = mistakes(answers.labels, np.nan_to_num(answers.probabilities))
    photos = []
    for place, answered in zip(found.places[:MOST_WORST], found.answered, strict=False):
        photos.append((Path(answers.paths[place]), int(answered)))
    learner = plan.learner
    network = learner.network.to(learner.device)  # exporting has left it on the processor
    return saliency(network, learner.preprocessing, photos, stop)


def saliency(
    network: nn.Module,
    preprocessing: Preprocessing,
    photos: Sequence[tuple[Path, int]],
    stop: Callable[[], bool],
) -> dict[Path, Seen]:
    """What of each photo speaks for a class, as the network sees the photo. photos: with classes.

    Photos for which no time is left, and in which the network saw no place, are left out. The log
    says how many there were and how long it took. PhotoError for one that cannot be read.
    """
    started = time.monotonic()
    device = next(network.parameters()).device
    normalize = Normalize(preprocessing).to(device)
    network.eval()
    share = preprocessing.crop / preprocessing.resize
    found: dict[Path, Seen] = {}
    for path, answered in photos:
        if stop() or time.monotonic() - started > MOST_S:
            break
        pixels = torch.from_numpy(preprocessing.network_pixels(path).copy())
        samples = normalize(pixels.to(device).permute(2, 0, 1)[None].float())
        seen = seen_places(network, samples, answered)
        if seen is not None:
            found[path] = Seen(seen, share)
    seconds = time.monotonic() - started
    log.info(
        "saliency: %d of %d of the worst mistakes in %.1f s, of at most %.0f s",
        len(found),
        len(photos),
        seconds,
        MOST_S,
    )
    return found


def seen_places(network: nn.Module, samples: torch.Tensor, answered: int) -> Map | None:
    """The map of one photo, float [1, 3, S, S], normalised; None where no layer has places."""
    with torch.enable_grad(), _recorded(network) as layers:
        logits = network(samples.detach().requires_grad_())
        latest = layers[-LATEST:]
        if not latest:
            return None
        values = [value for value, _ in latest]
        gradients = torch.autograd.grad(logits[0, answered], values, allow_unused=True)
    for (value, places), gradient in zip(reversed(latest), reversed(gradients), strict=True):
        if gradient is None:
            continue
        product = places(value.detach()) * places(gradient)
        if not product.any():  # such as patches behind the last attention, of which none is read
            continue
        seen = product.sum(-1).clamp(min=0).float().cpu().numpy()
        if not np.isfinite(seen).all() or not seen.max() > 0:
            return None
        return np.asarray(seen / seen.max(), np.float32)
    return None


@contextmanager
def _recorded(network: nn.Module) -> Iterator[list[tuple[torch.Tensor, Places]]]:
    """Inside, the values of the layers with places, in the order in which they are computed."""
    layers: list[tuple[torch.Tensor, Places]] = []

    def record(module: nn.Module, inputs: object, output: object) -> None:
        places = _places(module, output)
        if places and isinstance(output, torch.Tensor) and output.requires_grad:
            layers.append((output, places))

    head = head_name(network)
    hooks = []
    for name, module in network.named_modules():
        in_head = name == head or name.startswith(f"{head}.")
        is_leaf = not any(module.children())
        if is_leaf and not in_head and not name.endswith(OF_HEADS):
            hooks.append(module.register_forward_hook(record))
    try:
        yield layers
    finally:
        for hook in hooks:
            hook.remove()


def _places(module: nn.Module, output: object) -> Places | None:
    """How to read a layer's values as places [H, W, D]; None where they have none."""
    if not isinstance(output, torch.Tensor) or len(output) != 1:
        return None
    if isinstance(module, nn.LayerNorm):
        return _normalised_places(module, output)
    if output.ndim == 4 and not isinstance(module, WITHOUT_PLACES):
        return _channels_first if min(output.shape[2:]) >= FEWEST_PLACES else None
    return None


def _normalised_places(module: nn.LayerNorm, output: torch.Tensor) -> Places | None:
    width = module.normalized_shape[-1]
    if output.ndim == 4 and min(output.shape[1:3]) >= FEWEST_PLACES and output.shape[3] == width:
        return _channels_last
    if output.ndim == 4 and output.shape[1] == width:
        return _channels_first if min(output.shape[2:]) >= FEWEST_PLACES else None
    if output.ndim != 3:
        return None
    side = math.isqrt(output.shape[1])  # the tokens before the patches are those of no place
    if side < FEWEST_PLACES:
        return None
    return lambda values: values[0, -side * side :].reshape(side, side, -1)


def _channels_first(values: torch.Tensor) -> torch.Tensor:
    return values[0].permute(1, 2, 0)


def _channels_last(values: torch.Tensor) -> torch.Tensor:
    return values[0]
