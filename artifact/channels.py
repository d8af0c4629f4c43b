"""The three parts of a data set, and the names that people give them."""

CHANNEL_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}
ROLE_OF = {name: role for role, names in CHANNEL_NAMES.items() for name in names}
