"""All that a training job can be told, listed once.

Names are matched with `-` and `_` alike, values may be JSON-quoted; SageMaker's built-in image classification's
names are taken too. What is unknown or does not parse is an error that lists the known: a typo never trains.
"""

import dataclasses
import json
import math
from dataclasses import dataclass, field

from train.job import JobError

IGNORED_PREFIXES = ("sagemaker_", "_tuning_objective_metric")  # SageMaker's own, beside the user's


def _option(
    default, text: str, choices: tuple = (), low: float | None = None, high: float | None = None
):
    return field(
        default=default, metadata={"help": text, "choices": choices, "low": low, "high": high}
    )


@dataclass(frozen=True)
class Hyperparameters:
    """One training job's settings. JobError for a value outside its choices or bounds."""

    model: str = _option(
        "resnet50",
        "torchvision classification model, such as resnet50, vgg16, efficientnet_b0, vit_b_16",
    )
    weights: str = _option(
        "imagenet",
        "`imagenet`, `none`, one of torchvision's names (`IMAGENET1K_V1`), a channel, or a file (.pth, .safetensors)",
    )
    head: tuple[int, ...] = _option(
        (), "sizes of the head's hidden layers; `2048,516` gives Linear-ReLU-Linear-ReLU-Linear"
    )
    trainable: str = _option(
        "head", "`head`, `all`, or a module's name (`layer4`, `features.24`): it and all after it"
    )
    epochs: int = _option(30, "passes over the training photos", low=1)
    batch_size: int = _option(32, "photos a step, over all processes", low=1)
    test_batch_size: int = _option(
        64,
        "taken for the sake of older scripts; validation takes as many photos at once as suit the machine",
        low=1,
    )
    optimizer: str = _option(
        "adamw", "how steps are taken", ("sgd", "nag", "adam", "adamw", "adadelta", "rmsprop")
    )
    lr: float = _option(0.001, "learning rate", low=0)
    momentum: float = _option(0.9, "of sgd, nag and rmsprop", low=0, high=1)
    weight_decay: float = _option(1e-4, "of every optimizer", low=0)
    beta_1: float = _option(0.9, "of adam and adamw", low=0, high=1)
    beta_2: float = _option(0.999, "of adam and adamw", low=0, high=1)
    eps: float = _option(1e-8, "of adam, adamw, adadelta and rmsprop", low=0)
    gamma: float = _option(
        0.9,
        "decay of the squared gradients' average: rmsprop's alpha, adadelta's rho",
        low=0,
        high=1,
    )
    schedule: str = _option(
        "constant",
        "of the learning rate, by epoch",
        ("constant", "step", "exponential", "cosine", "plateau"),
    )
    lr_scheduler_factor: float = _option(
        0.1,
        "what step and plateau multiply lr by each time, exponential over the whole training",
        low=0,
        high=1,
    )
    lr_scheduler_step: tuple[int, ...] = _option(
        (), "epochs after which `step` multiplies: `10,20`; given alone it sets schedule=step"
    )
    lr_scheduler_patience: int = _option(
        3, "epochs without a better validation loss before `plateau` multiplies", low=1
    )
    warmup_epochs: int = _option(0, "epochs over which the learning rate rises to lr", low=0)
    class_weights: str = _option(
        "none", "`balanced` weighs each class by its rarity", ("none", "balanced")
    )
    multi_label: bool = _option(
        False,
        "a photo that stands in several class folders has all their labels; accuracy: the whole set is right",
    )
    label_smoothing: float = _option(
        0.0, "share of each label spread over all classes", low=0, high=1
    )
    augmentation: str = _option(
        "crop",
        "of training photos",
        ("none", "crop", "crop_color", "crop_color_transform", "strong"),
    )
    image_size: int = _option(
        0,
        "side of the square the network sees, pixels; 0: as the model's published weights",
        low=0,
        high=2048,
    )
    resize: int = _option(
        0,
        "shorter side before the centre crop, pixels; 0: in the published weights' proportion",
        low=0,
        high=4096,
    )
    early_stopping: bool = _option(False, "end when validation accuracy no longer rises")
    early_stopping_min_epochs: int = _option(
        10, "epochs before early stopping may end a training", low=1
    )
    early_stopping_patience: int = _option(5, "epochs without a rise before it does", low=1)
    early_stopping_tolerance: float = _option(
        0.0, "a rise of no more than this share of the best accuracy is none", low=0
    )
    split: tuple[float, ...] = _option(
        (0.7, 0.1, 0.2), "train, validation, test shares where the channels do not say"
    )
    seed: int = _option(0, "of weights, order, augmentation and split", low=0, high=2**32 - 1)
    precision: str = _option(
        "auto",
        "of the arithmetic in training; `auto`: bfloat16 where the machine is quick at it, else float32",
        ("auto", "float32", "bfloat16", "float16"),
    )
    compile: bool = _option(
        False,
        "run training steps through torch.compile, which takes a minute first; needs a C++ compiler, and goes without `debug`",
    )
    feature_views: int = _option(
        4,
        "views of a photo whose features are kept when a backbone is frozen, used in turn; 0: new views each epoch",
        low=0,
    )
    first_resolution: float = _option(
        1.0,
        "share of image_size at which training starts, to rise over the first two thirds of the epochs",
        low=0.25,
        high=1,
    )
    debug: bool = _option(
        False,
        "save tensors by smdebug's hook and judge them at the end; features are then not kept",
    )
    debug_collections: str = _option(
        "gradients,weights,activations,samples",
        "which: of gradients, weights, biases, activations, samples; losses always",
    )
    debug_train_interval: int = _option(
        10, "training steps from one that is saved to the next", low=1
    )
    debug_eval_interval: int = _option(1, "the same of validation's steps", low=1)
    debug_predict_interval: int = _option(
        1, "the same of the steps that measure the trained network", low=1
    )
    debug_sample: int = _option(
        512,
        "values kept of each larger tensor beside its statistics; 0: whole tensors, as smdebug saves them",
        low=0,
    )
    profile: bool = _option(
        False, "measure the machine and the parts of each step, and report on them at the end"
    )
    profile_steps: tuple[int, ...] = _option(
        (),
        "first and last training step, from 0, of which torch.profiler keeps a Chrome trace: `10,12`",
    )
    quantize: bool = _option(
        True,
        "also make an int8 model, kept if it is at most 0.5 points less accurate on the validation photos",
    )
    checkpoint_frequency: int = _option(1, "epochs between checkpoints", low=1)
    top_k: int = _option(
        0, "also report how often the label is among the k most probable; 0: not", low=0
    )
    num_classes: int = _option(0, "if given, the channels must hold just so many classes", low=0)
    num_training_samples: int = _option(
        0, "if given and the training channel holds another number, the log says so", low=0
    )

    def __post_init__(self):
        for entry in dataclasses.fields(self):
            value, choices = getattr(self, entry.name), entry.metadata["choices"]
            low, high = entry.metadata["low"], entry.metadata["high"]
            if choices and value not in choices:
                raise JobError(
                    f"hyperparameter {entry.name} must be one of {', '.join(choices)}; found '{value}'"
                )
            if (low is not None and not value >= low) or (high is not None and not value <= high):
                bounds = f"at least {low}" if high is None else f"between {low} and {high}"
                raise JobError(f"hyperparameter {entry.name} must be {bounds}; found {value}")
        if (
            len(self.split) != 3
            or min(self.split) < 0
            or self.split[0] <= 0
            or abs(sum(self.split) - 1) > 1e-6
        ):
            raise JobError(
                f"hyperparameter split must be three shares that add up to 1, such as 0.7,0.1,0.2; found {_shown(self.split)}"
            )
        if any(size < 1 for size in self.head):
            raise JobError(
                f"hyperparameter head must be sizes of at least 1, such as 2048,516; found {_shown(self.head)}"
            )
        if self.schedule == "step" and not self.lr_scheduler_step:
            raise JobError("hyperparameter schedule=step needs lr_scheduler_step, such as 10,20")


def parse(texts: dict[str, str]) -> Hyperparameters:
    """The settings from hyperparameters.json's names and texts. JobError for an unknown name or a bad value."""
    return Hyperparameters(**_values(texts))


def given(texts: dict[str, str]) -> set[str]:
    """Which settings the names and texts set, by our names: what has its default is not among them."""
    return set(_values(texts))


def _values(texts: dict[str, str]) -> dict[str, object]:
    known = {entry.name: entry for entry in dataclasses.fields(Hyperparameters)}
    values: dict[str, object] = {}
    for given, text in texts.items():
        name = given.strip().replace("-", "_")
        if name.startswith(IGNORED_PREFIXES):
            continue
        name, text = _translate(name, _unquote(text))
        if name is None:
            continue
        if name not in known:
            raise JobError(f"hyperparameter '{given}' is unknown; known: {', '.join(known)}")
        if name in values:
            raise JobError(
                f"hyperparameter '{given}' sets {name}, which another hyperparameter already sets; give one"
            )
        values[name] = _parsed(name, known[name].default, text)
    if values.get("lr_scheduler_step") and "schedule" not in values:
        values["schedule"] = "step"
    return values


def _unquote(text: object) -> str:
    """The plain text of a value that the SageMaker SDK may have encoded as JSON."""
    if not isinstance(text, str):
        return json.dumps(text)
    try:
        decoded = json.loads(text)
    except ValueError:
        return text.strip()
    return decoded.strip() if isinstance(decoded, str) else text.strip()


def _parsed(name: str, default: object, text: str) -> object:
    try:
        if isinstance(default, bool):
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[
                text.lower()
            ]
        if isinstance(default, int):
            return _whole(text)
        if isinstance(default, float):
            return _finite(text)
        if isinstance(default, tuple):
            number = _finite if name == "split" else _whole
            return tuple(number(part) for part in text.strip("[]() ").split(",") if part.strip())
        return text
    except (ValueError, KeyError, OverflowError):
        kind = {
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            tuple: "numbers with commas between",
        }
        raise JobError(
            f"hyperparameter {name} must be {kind[type(default)]}; found '{text}'"
        ) from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _whole(text: str) -> int:
    value = float(text)  # tuning jobs may send 32.0
    if value != int(value):
        raise ValueError
    return int(value)


def _shown(values: tuple) -> str:
    return ",".join(str(value) for value in values) or "nothing"


_BUILT_IN = {
    "learning_rate": "lr",
    "mini_batch_size": "batch_size",
    "augmentation_type": "augmentation",
    "precision_dtype": "precision",
}
_BUILT_IN_SWITCHES = {
    "use_pretrained_model": ("weights", "none", "imagenet"),
    "use_weighted_loss": ("class_weights", "none", "balanced"),
}


def _translate(name: str, text: str) -> tuple[str | None, str]:
    """A name and value of the built-in image classification in ours; None where there is nothing to set."""
    if name in _BUILT_IN_SWITCHES:
        ours, off, on = _BUILT_IN_SWITCHES[name]
        return ours, on if _parsed(name, False, text) else off
    if name == "num_layers":
        return "model", f"resnet{text}"
    if name == "image_shape":
        sides = text.split(",")
        if len(sides) != 3 or sides[0].strip() != "3" or sides[1].strip() != sides[2].strip():
            raise JobError(
                f"hyperparameter image_shape must be three channels of a square, such as 3,224,224; found '{text}'"
            )
        return "image_size", sides[1]
    if name == "kv_store":
        if text != "dist_sync":
            raise JobError(
                f"hyperparameter kv_store can only be dist_sync here: hosts wait for each other; found '{text}'"
            )
        return None, text
    return _BUILT_IN.get(name, name), text
