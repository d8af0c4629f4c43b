"""The debugger's settings: which tensors are saved, how often, and in what form."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True)
class DebugSettings:
    """The collections that are saved, and the steps of each phase from one save to the next.

    sample: values kept of each larger tensor; 0: whole tensors.
    """

    collections: tuple[str, ...] = ("gradients", "weights", "activations", "samples")
    train_interval: int = 10
    eval_interval: int = 1
    predict_interval: int = 1
    sample: int = 512


class Saved(NamedTuple):
    """One of smdebug's collections."""

    collection: str
    regex: str  # of the tensors' names; smdebug's own where it is empty
    reductions: tuple[str, ...]  # exact ones of whole tensors
    values: bool  # whether values are kept, too


LOSSES = "losses"  # saved always; smdebug knows how


def losses_alone(config: Any) -> bool:
    """Whether SageMaker's debughookconfig.json asks for losses and nothing else.

    The SDK sends such a one, without collections, unless it is told otherwise.
    """
    if not isinstance(config, dict):
        return False
    parameters = config.get("HookParameters") or {}
    if any(name in parameters for name in ("save_all", "include_regex")):
        return False
    collections = config.get("CollectionConfigurations") or []
    return all(
        isinstance(entry, dict)
        and entry.get("CollectionName") == LOSSES
        and not (entry.get("CollectionParameters") or {}).get("include_regex")
        for entry in collections
    )


def smdebug_settings(settings: DebugSettings) -> dict[str, object]:
    """smdebug's own settings: the intervals and the names of the collections."""
    from smdebug import SaveConfig, SaveConfigMode
    from smdebug.core.modes import ModeKeys

    intervals = {
        ModeKeys.TRAIN: settings.train_interval,
        ModeKeys.EVAL: settings.eval_interval,
        ModeKeys.PREDICT: settings.predict_interval,
        ModeKeys.GLOBAL: settings.train_interval,
    }
    modes = {mode: SaveConfigMode(save_interval=steps) for mode, steps in intervals.items()}
    names = [saved.collection for saved in _saved(settings, "")]
    return {
        "save_config": SaveConfig(modes),
        "include_collections": [*names, LOSSES],
    }


def add_collections(hook: Any, settings: DebugSettings, root: str) -> None:  # smdebug has no types
    """Configure the hook's collections. root: the name of the network's class."""
    from smdebug import ReductionConfig

    for saved in _saved(settings, root):
        collection = hook.get_collection(saved.collection)
        if saved.regex:
            collection.include(saved.regex)
        if settings.sample:
            absolute = [name for name in saved.reductions if name.startswith("abs_")]
            collection.reduction_config = ReductionConfig(
                reductions=[name for name in saved.reductions if name not in absolute],
                abs_reductions=[name.removeprefix("abs_") for name in absolute],
                save_raw_tensor=saved.values,
            )


def _saved(settings: DebugSettings, root: str) -> Iterator[Saved]:
    """The collections of the settings, without the losses, which smdebug configures itself."""
    if "gradients" in settings.collections:
        yield Saved("gradients", "", ("abs_mean", "abs_max"), values=True)
    if "weights" in settings.collections:
        yield Saved("weights", "", ("abs_max",), values=True)
    if "biases" in settings.collections:
        yield Saved("biases", "", ("abs_max",), values=True)
    if "activations" in settings.collections:
        yield Saved("relu_input", r"relu\d*_input", ("variance",), values=False)
        if settings.sample:
            # each node's share of outputs above 0, in place of the outputs, which are gigabytes
            regex = r"relu\d*_output|relu\d*_activity"
            yield Saved("relu_activity", regex, (), values=True)
        else:
            yield Saved("relu_output", r"relu\d*_output", (), values=True)
        yield Saved("tanh_input", r"tanh\d*_input", (), values=True)
        yield Saved("sigmoid_input", r"sigmoid\d*_input", (), values=True)
    if "samples" in settings.collections:
        yield Saved("labels", "^labels", (), values=True)
        yield Saved("predictions", "^predictions", (), values=True)
        yield Saved("inputs", f"^{root}_input_0", (), values=True)
