"""Small parts of large tensors, and statistics of whole ones, for tensors saved in compact form."""

import torch


def quick_reduction(name: str, value: torch.Tensor, absolute: bool) -> torch.Tensor | None:
    """The reductions that are slow in smdebug; None for the others. value: of floats."""
    if name == "variance" and not absolute and value.numel() > 1:
        return variance(value)
    if name == "max" and absolute and value.numel():
        # without a copy of absolute values; NaN and infinity go through
        return torch.stack(torch.aminmax(value)).abs().max()
    return None


def variance(value: torch.Tensor) -> torch.Tensor:
    """The unbiased variance of all values, to within a millionth of the mean square.

    It takes a quarter of torch.var's time on a CPU.
    """
    count = value.numel()
    mean = value.mean().double()
    square = torch.linalg.vector_norm(value).double() ** 2
    spread: torch.Tensor = (square - count * mean**2) / (count - 1)
    return spread.clamp(min=0).float()


def sampled(value: torch.Tensor, most: int) -> torch.Tensor:
    """At most `most` values, evenly spaced in memory, [M].

    A shape always has the same places, whatever the layout's strides.
    """
    if value.ndim == 4 and value.is_contiguous(memory_format=torch.channels_last):
        value = value.permute(0, 2, 3, 1)
    flat = value.reshape(-1)
    step = -(-len(flat) // most)
    # a step that 2 or 3 divides would show only one place of every 3x3 kernel
    while step > 1 and (step % 2 == 0 or step % 3 == 0):
        step += 1
    return flat[::step].clone()


def thinned(value: torch.Tensor, most: int) -> torch.Tensor:
    """[N, C, H, W], [N, T, F] or [N, F] with about `most` values for each channel or feature.

    The values are evenly spaced; all channels stay.
    """
    nodes = value.ndim - 1 if value.ndim == 3 else 1  # the axis of channels or features
    others = max(1, value.ndim - 1)
    kept = max(1, int(most ** (1 / others)))  # on each of the other axes
    steps = [-(-size // kept) for size in value.shape]
    steps[nodes] = 1
    return value[tuple(slice(None, None, step) for step in steps)].clone()


def shrunk(photos: torch.Tensor, side: int) -> torch.Tensor:
    """[N, C, H, W] with every few rows and columns, at most `side` of each."""
    steps = [-(-size // side) for size in photos.shape[2:]]
    places = [slice(None), slice(None)]
    places += [slice(None, None, step) for step in steps]
    return photos[tuple(places)].clone()


def activity(outputs: torch.Tensor) -> torch.Tensor:
    """Of a ReLU's outputs, the share above 0 for each channel or feature, [C]."""
    nodes = 2 if outputs.ndim == 3 else 1
    others = [axis for axis in range(outputs.ndim) if axis != nodes]
    return outputs.sign().mean(others)  # a ReLU gives no values below 0
