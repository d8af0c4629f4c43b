"""What the presets set, in one place. A hyperparameter that is given comes before its preset.

`quick` solves a linear head on a frozen backbone. `best` starts from that head, then fine-tunes the
whole network, its earlier layers at lower rates. Labels are not smoothed: a solved head is sure of
its photos, and smoothing first takes the features apart to make it less so.
"""

PRESETS: dict[str, dict[str, object]] = {
    "none": {},
    "quick": {
        "model": "timm/tf_efficientnet_lite0",
        "weights": "imagenet",
        "trainable": "head",
    },
    "best": {
        "model": "timm/tf_efficientnet_lite0",
        "weights": "imagenet",
        "trainable": "all",
        "head_first": True,
        "epochs": 12,
        "batch_size": 32,
        "optimizer": "adamw",
        "lr": 1e-4,
        "weight_decay": 0.05,
        "layer_decay": 0.8,
        "frozen_statistics": True,
        "schedule": "cosine",
        "warmup_epochs": 1,
        "augmentation": "crop",
        "clip_gradients": 1.0,
        "ema_decay": 0.98,
    },
}


def preset_values(name: object) -> dict[str, object]:
    """The hyperparameters that a preset sets; none for an unknown name, which is refused later."""
    return dict(PRESETS.get(str(name), {}))
