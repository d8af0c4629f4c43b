"""The hyperparameters of fine-tuning: a preset, and each ingredient of it."""

from dataclasses import dataclass

from recipes.option import option
from recipes.presets import PRESETS


@dataclass(frozen=True)
class FineTuning:
    """Ingredients of a training, each off by default. Hyperparameters checks their bounds."""

    preset: str = option(
        "none",
        "many settings by one name. `quick`: a linear head on a frozen EfficientNet-Lite0. "
        "`best`: from that head on, all layers learn. A hyperparameter that is given comes first",
        tuple(PRESETS),
    )
    head_first: bool = option(
        False,
        "solve the head on the first weights' features, as `optimizer=lbfgs` does, "
        "before all of `trainable` learns in steps",
    )
    layer_decay: float = option(
        1.0,
        "factor of the learning rate from each block of layers to the block in front of it",
        low=0.01,
        high=1,
    )
    ema_decay: float = option(
        0.0,
        "decay, step by step, of a moving average of the weights. "
        "The average is validated and exported. 0: no average",
        low=0,
        high=0.99999,
    )
    frozen_statistics: bool = option(
        False,
        "batch normalisation keeps the statistics of the first weights. "
        "Those of few photos and few steps are poor ones",
    )
    mixup: float = option(
        0.0,
        "alpha of mixup: each photo of a step is blended with another one. 0: none",
        low=0,
        high=10,
    )
    cutmix: float = option(
        0.0,
        "alpha of cutmix: each photo of a step gets a box of another one. 0: none. "
        "With mixup, each step takes one of the two",
        low=0,
        high=10,
    )
    random_erasing: float = option(
        0.0,
        "share of the training views that get a grey box; 0: as the augmentation has it",
        low=0,
        high=1,
    )
    clip_gradients: float = option(
        0.0, "largest norm of a step's gradient, which is scaled down to it; 0: any", low=0
    )
    accumulate: int = option(
        1, "batches whose gradients make one step of the optimizer together", low=1
    )
    train_size: int = option(
        0,
        "side of the training views, in pixels, where it is not image_size. A smaller one is "
        "faster, and a crop then shows things about as large as a whole photo does",
        low=0,
        high=2048,
    )
    flip_average: bool = option(
        False,
        "the model's answer is the mean of a photo and its mirror image; it takes twice as long",
    )
    time_limit_s: int = option(
        0,
        "seconds from a job's start to its artifact. Learning ends early enough to export, and the "
        "best epoch so far is exported. 0: no limit",
        low=0,
    )
