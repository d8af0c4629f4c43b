"""What the presets set, in one place. A hyperparameter that is given comes before its preset.

`quick` solves a linear head on a frozen backbone. `best` starts from that head, then fine-tunes the
whole network, its earlier layers at lower rates. What bench/RESULTS.md shows not to help is left
out of them.
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
        "label_smoothing": 0.1,
        "clip_gradients": 1.0,
        "ema_decay": 0.98,
    },
}


def preset_values(name: object) -> dict[str, object]:
    """The hyperparameters that a preset sets; none for an unknown name, which is refused later."""
    return dict(PRESETS.get(str(name), {}))
