"""A preparation's photo and summary, as the code that runs after the scan gets them."""

from collections import Counter
from dataclasses import replace

from artifact.folders.photo_tree import PassedBy
from prepare.convert import Photo
from prepare.repeated import Repeated
from prepare.summary import Summary

PHOTO = Photo("p", "JPEG", "RGB", 48, 36, (), "s", 100)


def summary(**changes: object) -> Summary:
    one = Summary(
        classes=("a", "b"),
        by_split={"train": 3, "validation": 0, "test": 1},
        by_class={},
        modes=Counter(),
        formats=Counter(),
        changes=Counter(),
        sizes=[(1, 1)] * 4,
        repeated=Repeated([], [], [], [], []),
        copies=0,
        broken={},
        passed=PassedBy(),
        said=(),
        warnings=(),
        presplit=False,
        split=(0.7, 0.1, 0.2),
        seed=0,
    )
    return replace(one, **changes)  # type: ignore[arg-type]  # the fields' own types
