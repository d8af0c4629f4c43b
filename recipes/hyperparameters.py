"""The hyperparameters of a training job, each listed once with its default, choices and bounds.

Names match with `-` and `_` alike, values may be JSON, and SageMaker's built-in image
classification's names are accepted. An unknown name or a bad value is an error: a typo never
trains.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recipes.built_in_names import BUILT_IN_NAMES, translate
from recipes.errors import RecipeError
from recipes.fine_tuning import FineTuning
from recipes.option import option
from recipes.presets import preset_values
from recipes.suggestion import unknown
from recipes.value_checks import check_head, check_split, check_value, collections, window
from recipes.values import typed, unquoted

# SageMaker adds these to the user's hyperparameters.
IGNORED_PREFIXES = ("sagemaker_", "_tuning_objective_metric")
OPTIMIZERS = ("auto", "lbfgs", "sgd", "nag", "adam", "adamw", "adadelta", "rmsprop")
AUGMENTATIONS = ("none", "crop", "crop_color", "crop_color_transform", "strong", "trivial")


@dataclass(frozen=True)
class Hyperparameters(FineTuning):
    """One training job's settings. RecipeError for a value outside its choices or bounds."""

    model: str = option(
        "resnet50",
        "classification model of torchvision, such as resnet50, vgg16, vit_b_16, or of timm, as "
        "`timm/NAME` or `timm/NAME.TAG`; `timm/tf_efficientnet_lite0` needs no network",
    )
    weights: str = option(
        "imagenet",
        "first weights: `imagenet`, `none`, a name of torchvision's (`IMAGENET1K_V1`) or a tag of "
        "timm's, the name of a channel, or a file (.pth, .safetensors)",
    )
    head: tuple[int, ...] = option(
        (), "sizes of the head's hidden layers; `2048,516` gives Linear-ReLU-Linear-ReLU-Linear"
    )
    trainable: str = option(
        "head",
        "what learns: `head`, `all`, or the name of a module (`layer4`, `features.24`), "
        "which learns together with every module behind it",
    )
    epochs: int = option(30, "passes over the training photos", low=1)
    batch_size: int = option(32, "photos per step, over all processes", low=1)
    test_batch_size: int = option(
        64,
        "accepted for older scripts; validation takes as many photos at once as suit the machine",
        low=1,
    )
    optimizer: str = option(
        "auto",
        "optimizer; `lbfgs` solves the head of a frozen backbone without steps; "
        "`auto`: lbfgs where that can be done and no setting of gradient descent is given, "
        "else adamw",
        OPTIMIZERS,
    )
    lr: float = option(0.001, "learning rate", low=0)
    momentum: float = option(0.9, "momentum of sgd, nag and rmsprop", low=0, high=1)
    weight_decay: float = option(1e-4, "weight decay, of every optimizer", low=0)
    beta_1: float = option(0.9, "decay of the first moment, of adam and adamw", low=0, high=1)
    beta_2: float = option(0.999, "decay of the second moment, of adam and adamw", low=0, high=1)
    eps: float = option(1e-8, "epsilon of adam, adamw, adadelta and rmsprop", low=0)
    gamma: float = option(
        0.9,
        "decay of the squared gradients' average: rmsprop's alpha, adadelta's rho",
        low=0,
        high=1,
    )
    schedule: str = option(
        "constant",
        "how the learning rate changes from epoch to epoch",
        ("constant", "step", "exponential", "cosine", "plateau"),
    )
    lr_scheduler_factor: float = option(
        0.1,
        "factor of lr: `step` and `plateau` apply it each time, "
        "`exponential` once over the whole training",
        low=0,
        high=1,
    )
    lr_scheduler_step: tuple[int, ...] = option(
        (), "epochs after which `step` applies the factor: `10,20`; alone it sets schedule=step"
    )
    lr_scheduler_patience: int = option(
        3, "epochs without a better validation loss before `plateau` applies the factor", low=1
    )
    warmup_epochs: int = option(0, "epochs over which the learning rate rises to lr", low=0)
    class_weights: str = option(
        "none", "`balanced`: the rarer a class, the more its photos weigh", ("none", "balanced")
    )
    multi_label: bool = option(
        False,
        "a photo that lies in several class folders has all their labels. "
        "Its answer is right when the whole set of labels is right",
    )
    label_smoothing: float = option(
        0.0, "share of each label that is spread over all classes", low=0, high=1
    )
    augmentation: str = option(
        "crop",
        "random changes of the training photos; `trivial`: crop, then one random operation of "
        "TrivialAugment",
        AUGMENTATIONS,
    )
    image_size: int = option(
        0,
        "side of the square that the network sees, in pixels; 0: as the published weights have it",
        low=0,
        high=2048,
    )
    resize: int = option(
        0,
        "shorter side before the centre crop, in pixels; 0: in the published weights' proportion",
        low=0,
        high=4096,
    )
    early_stopping: bool = option(
        False, "end the training when the validation accuracy no longer rises"
    )
    early_stopping_min_epochs: int = option(
        10, "epochs before early stopping may end a training", low=1
    )
    early_stopping_patience: int = option(
        5, "epochs without a rise after which early stopping ends a training", low=1
    )
    early_stopping_tolerance: float = option(
        0.0, "least rise that counts, as a share of the best accuracy", low=0
    )
    split: tuple[float, ...] = option(
        (0.7, 0.1, 0.2),
        "shares of train, validation and test, where the channels do not decide them",
    )
    # numpy takes seeds below 2**32.
    seed: int = option(0, "seed of weights, order, augmentation and split", low=0, high=2**32 - 1)
    precision: str = option(
        "auto",
        "arithmetic of the training; "
        "`auto`: bfloat16 where the machine is fast at it, else float32",
        ("auto", "float32", "bfloat16", "float16"),
    )
    compile: bool = option(
        False,
        "compile the training steps by torch.compile, which takes a minute at the start. "
        "It needs a C++ compiler, and does not go with `debug`",
    )
    feature_views: int = option(
        4,
        "augmented views of each photo whose features are kept when the backbone is frozen. "
        "The epochs use them in turn. 0: new views in each epoch",
        low=0,
    )
    first_resolution: float = option(
        1.0,
        "share of image_size at which the training starts. "
        "The size rises to image_size over the first two thirds of the epochs",
        low=0.25,
        high=1,
    )
    debug: bool = option(
        False,
        "save tensors by smdebug's hook, and evaluate the rules at the end; no features are kept",
    )
    debug_collections: str = option(
        "gradients,weights,activations,samples",
        "which tensors `debug` saves: gradients, weights, biases, activations, samples; "
        "losses always",
    )
    debug_train_interval: int = option(10, "`debug` saves every n-th training step", low=1)
    debug_eval_interval: int = option(1, "`debug` saves every n-th validation step", low=1)
    debug_predict_interval: int = option(
        1, "`debug` saves every n-th step that measures the trained network", low=1
    )
    debug_sample: int = option(
        512,
        "values that are saved of each larger tensor, beside its statistics; "
        "0: whole tensors, as smdebug saves them",
        low=0,
    )
    profile: bool = option(
        False, "measure the machine and the parts of each step, and write a report at the end"
    )
    profile_steps: tuple[int, ...] = option(
        (),
        "first and last training step that torch.profiler traces, counted from 0: `10,12`. "
        "It writes a Chrome trace",
    )
    quantize: bool = option(
        True,
        "also make an int8 model. "
        "It is kept if it answers 99 % of the photos as f32 does, and loses no accuracy",
    )
    probe: bool = option(
        True,
        "put 32 validation photos into the model, to prove int8 and bf16 on other processors",
    )
    checkpoint_frequency: int = option(1, "epochs between checkpoints", low=1)
    device: str = option(
        "auto",
        "`auto`: GPUs where there are any; one that cannot be used is an error. `cpu`, `cuda`",
        ("auto", "cpu", "cuda"),
    )
    top_k: int = option(
        0, "report how often the label is among the k most probable ones, too; 0: do not", low=0
    )
    num_classes: int = option(0, "number of classes that the channels must hold; 0: any", low=0)
    num_training_samples: int = option(
        0, "number of training photos; the log says so where it is another; 0: any", low=0
    )

    def __post_init__(self) -> None:
        for entry in dataclasses.fields(self):
            check_value(entry, getattr(self, entry.name))
        check_split(self.split)
        check_head(self.head)
        collections(self.debug_collections)
        window(self.profile_steps)
        if self.schedule == "step" and not self.lr_scheduler_step:
            raise RecipeError("hyperparameter schedule=step needs lr_scheduler_step, such as 10,20")


def parse(texts: Mapping[str, object]) -> Hyperparameters:
    """The settings from names and texts, as hyperparameters.json holds them.

    RecipeError for an unknown name or a bad value.
    """
    found = _values(texts)
    # what the texts set comes before what the preset sets
    values: dict[str, Any] = preset_values(found.get("preset")) | found
    return Hyperparameters(**values)


def given(texts: Mapping[str, object]) -> set[str]:
    """The settings, by our names, that the texts set; a preset's values are not in it."""
    return set(_values(texts))


def _values(texts: Mapping[str, object]) -> dict[str, object]:
    known = {entry.name: entry for entry in dataclasses.fields(Hyperparameters)}
    values: dict[str, object] = {}  # by our names
    for given_name, given_text in texts.items():
        plain = given_name.strip().replace("-", "_")
        if plain.startswith(IGNORED_PREFIXES):
            continue
        translated = translate(plain, unquoted(given_text))
        if translated is None:
            continue
        name, text = translated
        if name not in known:
            raise RecipeError(unknown("hyperparameter", given_name, known, BUILT_IN_NAMES))
        if name in values:
            raise RecipeError(
                f"hyperparameter '{given_name}' sets {name}, "
                "which another hyperparameter already sets; give one"
            )
        values[name] = typed(text, known[name].default, name)
    if values.get("lr_scheduler_step") and "schedule" not in values:
        values["schedule"] = "step"
    return values
