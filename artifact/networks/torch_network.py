"""The trained network, rebuilt from model.json and model.safetensors. Loads torch."""

from pathlib import Path

import safetensors
import safetensors.torch
import torch

from artifact.class_means import add_distance, read_class_means
from artifact.model import WEIGHTS_FILE, ArtifactError, Description
from artifact.networks.network import build, put_values


def load_network(
    directory: Path, description: Description, device: torch.device
) -> torch.nn.Module:
    """The network in float32 on the device, ready to answer.

    Raises ArtifactError where the files do not make one, torch.OutOfMemoryError.
    """
    path = directory / WEIGHTS_FILE
    try:
        network = _filled(description, safetensors.torch.load_file(path))
    except FileNotFoundError as error:
        raise ArtifactError(
            f"'{directory}' holds no {WEIGHTS_FILE}, which the torch engine needs; "
            "expected the files that training wrote"
        ) from error
    except (OSError, safetensors.SafetensorError) as error:
        raise ArtifactError(f"'{path}' cannot be read as weights ({error})") from error
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, AssertionError) as error:
        expected = (
            f"{description.architecture} with {len(description.classes)} classes "
            f"and the head {list(description.head)}"
        )
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ArtifactError(
            f"'{path}' does not fit model.json, which says {expected} ({' '.join(lines[:2])[:300]})"
        ) from error
    if description.known:
        add_distance(network, read_class_means(directory, description))
    return network.to(device, torch.float32).eval()


def _filled(description: Description, weights: dict[str, torch.Tensor]) -> torch.nn.Module:
    """The description's network with these weights."""
    # on "meta", without memory, first: random weights of a large network take seconds
    for made_on in ("meta", "cpu"):
        try:
            with torch.device(made_on):
                network = build(
                    description.architecture,
                    len(description.classes),
                    description.head,
                    description.preprocessing.crop,
                    drawn=False,
                )
        except NotImplementedError:
            continue  # RegNet computes its widths from tensors, which have no data on "meta"
        put_values(network, weights, assign=True)
        tensors = (*network.parameters(), *network.buffers())
        if not any(tensor.is_meta for tensor in tensors):  # buffers that are not in the file
            break
    return network
