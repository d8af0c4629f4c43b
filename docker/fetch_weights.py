"""fetch_weights.py resnet50,vgg16: put torchvision's ImageNet weights into TORCH_HOME.

Run while the training image is built. The files are checked against the hash in their names. It
knows nothing of training.
"""

import os
import sys
from pathlib import Path

from torchvision import models


def fetch(name: str) -> None:
    """Download the weights of one network. Raises SystemExit with one sentence."""
    try:
        weights = models.get_model_weights(name).DEFAULT
    except ValueError:
        raise SystemExit(
            f'fetch_weights: WEIGHTS names "{name}", which torchvision does not have; '
            f"known names: {', '.join(models.list_models(module=models))}"
        ) from None
    print(f"fetch_weights: {weights} from {weights.url}", flush=True)
    try:
        weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:  # no network (URLError); a wrong hash
        raise SystemExit(
            f"fetch_weights: {weights.url} could not be downloaded: {error}; "
            "build without WEIGHTS, or where that address can be reached"
        ) from None


def main() -> None:
    names = [name.strip() for name in sys.argv[1].split(",") if name.strip()]
    for name in names:
        fetch(name)
    if names:  # readable for any uid that the image is run as
        for path in Path(os.environ["TORCH_HOME"]).rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)


if __name__ == "__main__":
    main()
