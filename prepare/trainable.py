"""Whether train would take what a preparation leaves: refused before anything is written.

What train takes, but a user should know, is a warning.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import chain

from artifact.text.names import printable
from artifact.text.numbers import percent
from prepare.convert import Photo
from prepare.converted import Converted
from prepare.scan import SPLITS, PrepareError, Source

LEFT_OUT_SHARE = 0.05  # of the files that should be photos: more than this is a warning
NAMED = 5  # classes of one sentence
HELD_OUT = ("validation", "test")


def check_trainable(converted: Converted, splits: Mapping[Source, str]) -> None:
    """PrepareError, with what to do, for splits that train refuses."""
    photos = converted.photos()
    by_split = classes_by_split(splits)
    every = set().union(*by_split.values())
    _check_lost(converted.broken, every)
    if len(every) == 1:
        (only,) = every
        left_out = _first_left_out(converted)
        raise PrepareError(
            f"there is one class only ('{printable(only)}'); a classifier needs two: "
            f"give a folder of photos for each class, or a list by --labels{left_out}"
        )
    if not by_split["train"]:
        raise PrepareError("the source's own split has no photos in train; put some there")
    for split in HELD_OUT:
        missing = sorted(by_split[split] - by_split["train"])
        if missing:
            raise PrepareError(_why_missing(missing[0], split, photos, splits))


def warnings(converted: Converted, splits: Mapping[Source, str]) -> list[str]:
    """Sentences on photos that were left out, and on classes that cannot be measured."""
    found = []
    unreadable = len(converted.broken) + len(converted.found.passed.unreadable)
    files = len(splits) + unreadable
    if unreadable > files * LEFT_OUT_SHARE:
        found.append(
            f"{unreadable} of {files} photos ({percent(unreadable / files, 0)}) were left out; "
            "look at the reasons before you train"
        )
    counted = Counter(chain.from_iterable((source.label, *source.also) for source in splits))
    single = sorted(label for label, count in counted.items() if count == 1)
    if single:
        found.append(
            f"{_named(single)} with one photo: it is learnt badly and measured nowhere; add photos"
        )
    by_split = classes_by_split(splits)
    for split in HELD_OUT:
        lacking = sorted(by_split["train"] - by_split[split] - set(single))
        if by_split[split] and lacking:
            found.append(f"{_named(lacking)} without a {split} photo; add photos")
    if not by_split["validation"]:
        found.append("there are no validation photos; train takes its share of them off train")
    return found


def classes_by_split(splits: Mapping[Source, str]) -> dict[str, set[str]]:
    """The classes of each split, with the further labels of photos that have several."""
    found: dict[str, set[str]] = {split: set() for split in SPLITS}
    for source, split in splits.items():
        found[split].update((source.label, *source.also))
    return found


def _check_lost(broken: Mapping[Source, str], every: set[str]) -> None:
    """PrepareError for a class of which no photo could be read."""
    for source, reason in sorted(broken.items()):
        if source.label not in every:
            count = sum(other.label == source.label for other in broken)
            raise PrepareError(
                f"the class '{printable(source.label)}' has lost all its photos ({count}), such as "
                f"'{printable(source.path)}': {reason}; mend them, or take the class away"
            )


def _first_left_out(converted: Converted) -> str:
    """What may have held the other classes: rows of a list and links that lead nowhere."""
    unreadable = converted.found.passed.unreadable
    if not unreadable:
        return ""
    name, reason = min(unreadable.items())
    return f"; {len(unreadable)} left out, such as '{printable(name)}': {printable(reason)}"


def _why_missing(
    label: str, split: str, photos: Mapping[Source, Photo], splits: Mapping[Source, str]
) -> str:
    """Why a class is in a held-out split, and not in train."""
    own = [source for source in splits if label in (source.label, *source.also)]
    name = printable(label)
    if any(source.split for source in own):
        return (
            f"the class '{name}' is in the source's {split}, and not in its train; "
            "put photos of it into train, or take it away"
        )
    pixels = {photos[source].pixels for source in own}
    copies = (
        source for source in splits if source.label != label and photos[source].pixels in pixels
    )
    other = next(copies, None)
    same = f", such as '{printable(other.path)}' of '{printable(other.label)}'" if other else ""
    return (
        f"the class '{name}' would be in {split} alone: its photos are copies of other "
        f"classes' photos{same}, and copies stay on one side; "
        "take the wrong ones away, or add photos"
    )


def _named(classes: list[str]) -> str:
    shown = ", ".join(f"'{printable(name)}'" for name in classes[:NAMED])
    more = f" and {len(classes) - NAMED} more" if len(classes) > NAMED else ""
    return f"{len(classes)} class{'es' if len(classes) > 1 else ''} ({shown}{more})"
