"""Where a training script's checkpoint keeps its weights, and what it calls them."""

import logging
from collections.abc import Iterable, Mapping

import torch

Weights = Mapping[str, torch.Tensor]  # by name in the network's state

# Under which scripts keep the average of the weights; it is what they evaluate.
AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "params_ema", "ema")
# And the weights, beside their optimizer: the outermost first.
WITHIN = (
    *AVERAGED,
    "state_dict",
    "model_state_dict",
    "model",
    "model_state",
    "net",
    "network",
    "weights",
    "params",
    "teacher",
    "classy_state_dict",
    "base_model",
)
COMPILED = "_orig_mod."  # torch.compile's wrapper, at any depth
PARALLEL = "module."  # DistributedDataParallel's
LIGHTNING = "model."  # what most Lightning modules call their network

log = logging.getLogger(__name__)


def within(content: object) -> Weights | None:
    """The names and tensors in what a file holds; None where it has none.

    Of weights and their average the average is taken. Other values beside tensors are left out.
    """
    state = content
    while isinstance(state, dict):
        tensors = {
            name: value
            for name, value in state.items()
            if isinstance(name, str) and isinstance(value, torch.Tensor)
        }
        if len(tensors) > len(state) / 2:
            return tensors
        key = _inner(state)
        if not key:
            break
        if key in AVERAGED:
            log.info("weights: the average of a training is taken ('%s' of the file)", key)
        state = state[key]
    return None


def _inner(state: Mapping[object, object]) -> str:
    """The key of the weights in a checkpoint, one level down; "" where that is not clear."""
    for key in WITHIN:
        value = state.get(key)
        if isinstance(value, dict) and value:
            return key
    others = [key for key, value in state.items() if isinstance(key, str) and _is_state(value)]
    return others[0] if len(others) == 1 else ""


def _is_state(value: object) -> bool:
    if not isinstance(value, dict) or not value:
        return False
    named = all(isinstance(name, str) for name in value)
    return named and all(isinstance(entry, torch.Tensor) for entry in value.values())


def bare_names(state: Weights) -> Weights:
    """Weights without the wrappers' parts of their names.

    A Lightning module's other parts, such as a loss with weights, are left out.
    """
    bare = {name.replace(COMPILED, "").removeprefix(PARALLEL): state[name] for name in state}
    wrapped = {name: value for name, value in bare.items() if name.startswith(LIGHTNING)}
    if len(wrapped) <= len(bare) / 2:
        return bare
    inner = {name.removeprefix(LIGHTNING): value for name, value in wrapped.items()}
    return bare_names(inner)


def without_prefix(state: Weights, wanted: Iterable[str]) -> Weights:
    """Weights whose names lack what a user's own module put before a network's names.

    wanted: the network's names. Weights are returned as they are where some name is wanted, or
    where no prefix gives most of the names.
    """
    names = set(wanted)
    if not names or names & state.keys():
        return state
    one = max(names, key=len)
    for found in state:
        prefix = found.removesuffix(f".{one}")
        if prefix == found:
            continue
        inner = {
            name.removeprefix(f"{prefix}."): state[name]
            for name in state
            if name.startswith(f"{prefix}.")
        }
        if len(names & inner.keys()) > len(names) / 2:
            return inner
    return state
