"""The three parts of a data set, and the names that people give them."""

CHANNEL_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}
ROLE_OF: dict[str, str] = {}  # by any of these names
for _role, _names in CHANNEL_NAMES.items():
    ROLE_OF.update(dict.fromkeys(_names, _role))
