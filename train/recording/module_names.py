"""smdebug's names of modules, from which it makes the names of their tensors."""

from torch import nn

ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu",
    nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid",
}


def activation(module: nn.Module) -> str | None:
    """The kind of an activation; None for other modules."""
    return ACTIVATIONS.get(type(module))


def name_with_kind(name: str, kind: str | None) -> str:
    """The module's name, with its kind at the end unless the name says it."""
    if kind is None or name.rpartition(".")[2].startswith(kind):
        return name
    return f"{name}.{kind}"


def set_name(module: nn.Module, name: str) -> None:
    """Set the attribute by which smdebug names a module's tensors."""
    module.__dict__["_module_name"] = name


def class_name(module: nn.Module) -> str:
    """smdebug's name of a whole network."""
    name: str = module._get_name()  # type: ignore[no-untyped-call]  # torch's
    return name
