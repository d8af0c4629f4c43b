"""Splits a partly frozen network where training begins.

The part in front gives the same features for a photo every time. Works on the graph that torch.fx
traces; knows nothing of photos. Only modules that hold both frozen and trainable parts are traced
into; all others stay whole.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import fx, nn

log = logging.getLogger(__name__)

TRACE_ERRORS = (fx.proxy.TraceError, TypeError, RuntimeError, ValueError, AssertionError)


@dataclass(frozen=True)
class SplitNetwork:
    """A network in two parts, which share its modules.

    `trainable_part(*front(samples))` is the network's answer. features: shape (without the batch)
    and type of each tensor from the front to the trainable part.
    """

    front: nn.Module
    trainable_part: nn.Module
    features: tuple[tuple[tuple[int, ...], torch.dtype], ...]

    def bytes_per_photo(self) -> int:
        return sum(torch.Size(shape).numel() * dtype.itemsize for shape, dtype in self.features)


def split_at_frozen(
    network: nn.Module, frozen: Sequence[nn.Module], sample: torch.Tensor
) -> SplitNetwork | None:
    """The network in two parts; None where no frozen module comes first, or it cannot be split.

    frozen: these modules must be in eval mode. sample: float [2, 3, S, S], for the features'
    shapes; to be called under the autocast that training runs in.
    """
    try:
        graph = _Tracer(network, frozen).trace(network)
    except TRACE_ERRORS as error:
        log.info(
            "features: this network cannot be cut where learning begins (%s); "
            "every epoch runs through all of it",
            str(error).splitlines()[0],
        )
        return None
    trainable = _trainable_nodes(network, graph, frozen)
    in_front = [node for node in graph.nodes if node not in trainable]
    if not any(node.op == "call_module" for node in in_front):
        return None
    # the front's outputs, in the order of the graph
    outputs = [node for node in in_front if not trainable.isdisjoint(node.users)]
    name = type(network).__name__  # so that hooks name its tensors as they name the network's
    front = fx.GraphModule(network, _front(in_front, outputs), name)
    back = fx.GraphModule(network, _back(graph, trainable, outputs), name)
    return _proven(network, front, back, sample)


class _Tracer(fx.Tracer):
    """Traces into modules that hold both frozen and trainable ones, and no deeper."""

    def __init__(self, network: nn.Module, frozen: Sequence[nn.Module]) -> None:
        super().__init__()
        still = set(frozen)
        self.mixed = {
            module
            for module in network.modules()
            if module not in still and not still.isdisjoint(module.modules())
        }

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return module not in self.mixed


def _trainable_nodes(
    network: nn.Module, graph: fx.Graph, frozen: Sequence[nn.Module]
) -> set[fx.Node]:
    """Nodes whose value depends on trainable parts."""
    still = set(frozen)
    parameters = dict(network.named_parameters())
    found: set[fx.Node] = set()
    for node in graph.nodes:  # each comes after its inputs
        depends = node.op == "output" or any(before in found for before in node.all_input_nodes)
        if node.op == "call_module":
            depends = depends or network.get_submodule(str(node.target)) not in still
        elif node.op == "get_attr" and node.target in parameters:
            depends = depends or parameters[node.target].requires_grad
        if depends:
            found.add(node)
    return found


def _front(nodes: Sequence[fx.Node], outputs: Sequence[fx.Node]) -> fx.Graph:
    part = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in nodes:
        copies[node] = part.node_copy(node, copies.__getitem__)
    part.output(tuple(copies[node] for node in outputs))
    return part


def _back(graph: fx.Graph, trainable: set[fx.Node], inputs: Sequence[fx.Node]) -> fx.Graph:
    part = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for number, node in enumerate(inputs):
        copies[node] = part.placeholder(f"features_{number}")
    for node in graph.nodes:
        if node in trainable:
            copies[node] = part.node_copy(node, copies.__getitem__)
    return part


def _proven(
    network: nn.Module,
    front: nn.Module,
    back: nn.Module,
    sample: torch.Tensor,
) -> SplitNetwork | None:
    """The two parts, if they answer as the network does.

    The features must be tensors of one row per photo.
    """
    training = {module: module.training for module in network.modules()}
    network.eval()
    back.eval()
    with torch.no_grad():
        features = front(sample)
        sound = all(_has_row_per_photo(value, len(sample)) for value in features)
        if sound:
            sound = torch.equal(back(*features), network(sample))
    for module, mode in training.items():
        module.training = mode
    if not sound:
        log.info(
            "features: what crosses this network's cut is more than one tensor row per photo; "
            "every epoch runs through all of it"
        )
        return None
    shapes = tuple((tuple(value.shape[1:]), value.dtype) for value in features)
    return SplitNetwork(front, back, shapes)


def _has_row_per_photo(value: object, photos: int) -> bool:
    return isinstance(value, torch.Tensor) and value.shape[:1] == (photos,)
