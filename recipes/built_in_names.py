"""The hyperparameters of SageMaker's built-in image classification, in our names and values."""

from recipes.errors import RecipeError
from recipes.values import flag_of

# docs.aws.amazon.com/sagemaker/latest/dg/IC-Hyperparameter.html
_RENAMED = {
    "learning_rate": "lr",
    "mini_batch_size": "batch_size",
    "augmentation_type": "augmentation",
    "precision_dtype": "precision",
}
# By their name: our name, our value where it is false, our value where it is true.
_SWITCHES = {
    "use_pretrained_model": ("weights", "none", "imagenet"),
    "use_weighted_loss": ("class_weights", "none", "balanced"),
}
BUILT_IN_NAMES = (*_RENAMED, *_SWITCHES, "num_layers", "image_shape", "kv_store")


def translate(name: str, text: str) -> tuple[str, str] | None:
    """A name and a value in ours; None where there is nothing to set.

    Other names stay as they are. RecipeError for a value that has no counterpart here.
    """
    if name in _SWITCHES:
        ours, off, on = _SWITCHES[name]
        if flag_of(text, f"hyperparameter {name}"):
            return ours, on
        return ours, off
    if name == "num_layers":
        return "model", f"resnet{text}"
    if name == "image_shape":
        return "image_size", _side(text)
    if name == "kv_store":
        if text != "dist_sync":
            raise RecipeError(
                "hyperparameter kv_store can only be dist_sync here: hosts wait for each other; "
                f"found '{text}'"
            )
        return None
    return _RENAMED.get(name, name), text


def _side(text: str) -> str:
    """The side of a square image, in pixels, from `channels,height,width`."""
    sides = [part.strip() for part in text.split(",")]
    if len(sides) != 3 or sides[0] != "3" or sides[1] != sides[2]:
        raise RecipeError(
            "hyperparameter image_shape must be three channels of a square, such as 3,224,224; "
            f"found '{text}'"
        )
    return sides[1]
