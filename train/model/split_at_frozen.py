"""Where a partly frozen network can be cut: what comes before the first module that learns gives the same features every time.

Works on the graph that torch.fx traces; knows nothing of photos. Modules that are wholly on one side stay whole: only those
that hold both are traced into.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import fx, nn

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitNetwork:
    """A network in two parts, which share its modules: `trainable_part(*front(samples))` is what the network answers.

    features: shape (without the batch) and type of each tensor that crosses the cut.
    """

    front: nn.Module
    trainable_part: nn.Module
    features: tuple[tuple[tuple[int, ...], torch.dtype], ...]

    def bytes_per_photo(self) -> int:
        return sum(torch.Size(shape).numel() * dtype.itemsize for shape, dtype in self.features)


def split_at_frozen(
    network: nn.Module, frozen: Sequence[nn.Module], sample: torch.Tensor
) -> SplitNetwork | None:
    """The network cut where learning begins; None where nothing is frozen in front, or where it cannot be cut.

    frozen: the modules that do not learn, which must be in eval. sample: float [2, 3, S, S], to see the features' shapes with,
    under the autocast that training runs in.
    """
    try:
        graph = _Tracer(network, frozen).trace(network)
    except (fx.proxy.TraceError, TypeError, RuntimeError, ValueError, AssertionError) as error:
        log.info(
            "features: this network cannot be cut where learning begins (%s); every epoch runs through all of it",
            str(error).splitlines()[0],
        )
        return None
    learning = _learning_nodes(network, graph, frozen)
    crossing = _crossing(graph, learning)
    if not any(node.op == "call_module" for node in graph.nodes if node not in learning):
        return None
    name = type(network).__name__  # so that hooks name its tensors as they name the whole network's
    front = fx.GraphModule(network, _front(graph, learning, crossing), name)
    back = fx.GraphModule(network, _back(graph, learning, crossing), name)
    return _proven(network, front, back, sample)


class _Tracer(fx.Tracer):
    """Traces into modules that hold frozen and learning ones both, and no deeper."""

    def __init__(self, network: nn.Module, frozen: Sequence[nn.Module]):
        super().__init__()
        still = set(frozen)
        self.mixed = {
            module
            for module in network.modules()
            if module not in still and any(part in still for part in module.modules())
        }

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return module not in self.mixed


def _learning_nodes(
    network: nn.Module, graph: fx.Graph, frozen: Sequence[nn.Module]
) -> set[fx.Node]:
    """Nodes whose value depends on what learns."""
    still, parameters, found = set(frozen), dict(network.named_parameters()), set()
    for node in graph.nodes:
        learns = (
            node.op == "call_module"
            and network.get_submodule(node.target) not in still
            or node.op == "get_attr"
            and node.target in parameters
            and parameters[node.target].requires_grad
        )
        if learns or node.op == "output" or any(before in found for before in node.all_input_nodes):
            found.add(node)
    return found


def _crossing(graph: fx.Graph, learning: set[fx.Node]) -> list[fx.Node]:
    """What the learning part takes from the frozen one, in the order of the graph."""
    return [
        node
        for node in graph.nodes
        if node not in learning and any(user in learning for user in node.users)
    ]


def _front(graph: fx.Graph, learning: set[fx.Node], crossing: Sequence[fx.Node]) -> fx.Graph:
    part, copies = fx.Graph(), {}
    for node in graph.nodes:
        if node not in learning:
            copies[node] = part.node_copy(node, lambda before: copies[before])
    part.output(tuple(copies[node] for node in crossing))
    return part


def _back(graph: fx.Graph, learning: set[fx.Node], crossing: Sequence[fx.Node]) -> fx.Graph:
    part = fx.Graph()
    copies = {node: part.placeholder(f"features_{number}") for number, node in enumerate(crossing)}
    for node in graph.nodes:
        if node in learning:
            copies[node] = part.node_copy(node, lambda before: copies[before])
    return part


def _proven(
    network: nn.Module, front: nn.Module, back: nn.Module, sample: torch.Tensor
) -> SplitNetwork | None:
    """The cut, if features are tensors of one row a photo and the two parts answer as the network does."""
    mode = {module: module.training for module in network.modules()}
    network.eval(), back.eval()
    with torch.no_grad():
        features = front(sample)
        sound = all(
            isinstance(value, torch.Tensor) and value.shape[:1] == sample.shape[:1]
            for value in features
        )
        sound = sound and torch.equal(back(*features), network(sample))
    for module, training in mode.items():
        module.training = training
    if not sound:
        log.info(
            "features: what crosses this network's cut is more than one tensor row a photo; every epoch runs through all of it"
        )
        return None
    return SplitNetwork(
        front, back, tuple((tuple(value.shape[1:]), value.dtype) for value in features)
    )
