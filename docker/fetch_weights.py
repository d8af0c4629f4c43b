"""fetch_weights.py resnet50,timm/NAME: put published ImageNet weights into TORCH_HOME.

Run while the training image is built. torchvision's files are checked against the hash in their
names; timm's come from the hub, or from the mirror that HF_ENDPOINT names. Of several, it takes
those that a training takes: the default ones, and those of the plain recipe for frozen backbones.
It knows nothing of training.
"""

import os
import sys
from pathlib import Path
from typing import Any

from torchvision import models

TIMM = "timm/"
PLAIN = "IMAGENET1K_V1"  # with the next: what train/model/known_models.py calls so
TIMM_PLAIN = "tv_in1k"


def fetch(name: str) -> None:
    """Download torchvision's weights of one network. Raises SystemExit with one sentence."""
    try:
        known = models.get_model_weights(name)
    except ValueError:
        raise SystemExit(
            f'fetch_weights: WEIGHTS names "{name}", which torchvision does not have; '
            f"known names: {', '.join(models.list_models(module=models))}, and timm/NAME"
        ) from None
    for weights in {known.DEFAULT, known.__members__.get(PLAIN, known.DEFAULT)}:
        print(f"fetch_weights: {weights} from {weights.url}", flush=True)
        try:
            weights.get_state_dict(progress=False, check_hash=True)
        except (OSError, RuntimeError) as error:  # no network (URLError); a wrong hash
            raise _not_fetched(weights.url, error) from None


def fetch_timm(name: str, folder: Path) -> None:
    """Download a timm model's weights. Raises SystemExit with one sentence."""
    import timm
    from safetensors.torch import save_file

    plain = f"{name}.{TIMM_PLAIN}"
    wanted = {name, plain} if plain in timm.list_pretrained() else {name}
    for tagged in wanted:
        if not timm.is_model_pretrained(tagged):
            raise SystemExit(
                f'fetch_weights: WEIGHTS names "{TIMM}{tagged}", which timm has no weights of'
            )
        config: Any = timm.get_pretrained_cfg(tagged)
        tag = f".{config.tag}" if config.tag else ""
        path = folder / f"{config.architecture}{tag}.safetensors"
        if path.is_file():  # a package carried them
            continue
        print(f"fetch_weights: timm's {tagged} from {config.hf_hub_id}", flush=True)
        try:
            model = timm.create_model(tagged, pretrained=True)
        except Exception as error:  # the hub's client raises nearly anything without a network
            raise _not_fetched(f"{TIMM}{tagged}", error) from None
        folder.mkdir(parents=True, exist_ok=True)
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path)


def _not_fetched(source: str, error: Exception) -> SystemExit:
    words = (str(error).splitlines() or [type(error).__name__])[0]
    return SystemExit(
        f"fetch_weights: {source} could not be downloaded: {words}; "
        "build without WEIGHTS, or where that address can be reached"
    )


def main() -> None:
    names = [name.strip() for name in sys.argv[1].split(",") if name.strip()]
    home = Path(os.environ["TORCH_HOME"])
    for name in names:
        if name.startswith(TIMM):
            fetch_timm(name.removeprefix(TIMM), home / "hub" / "timm")
        else:
            fetch(name)
    if names:  # readable for any uid that the image is run as
        for path in home.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)


if __name__ == "__main__":
    main()
