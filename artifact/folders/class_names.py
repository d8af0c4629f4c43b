"""Names of classes: one name for each, whatever way a folder or a list writes it."""

import re
import unicodedata
from collections.abc import Iterable

from artifact.text.names import is_text, printable

# Letters without a shape beside those of category Cf: fillers, and what chooses a letter's style
# (the properties Default_Ignorable_Code_Point and Variation_Selector of Unicode).
_WITHOUT_SHAPE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


class ClassNameError(ValueError):
    """Names that cannot be classes: one sentence for a user, who can rename them."""


def class_name(written: str) -> str:
    """The class that a name means: composed Unicode (NFC), blanks trimmed and single.

    macOS writes decomposed names, and other systems composed ones, of the same letters.
    """
    return " ".join(unicodedata.normalize("NFC", written).split())


def check_class_names(names: Iterable[str], where: str) -> None:
    """ClassNameError for a class that has no readable name, or two that look alike.

    names: of class_name. where: such as "the train channel '/…'", for the sentence.
    """
    seen: dict[str, str] = {}
    for name in sorted(set(names)):
        if not is_text(name):
            raise ClassNameError(
                f"{where} has a class '{printable(name)}' whose name is not UTF-8, "
                "which no answer could hold; rename its folder"
            )
        if not name:
            raise ClassNameError(f"{where} has a class whose name is blank; rename its folder")
        other = seen.setdefault(_look(name), name)
        if other != name:
            raise ClassNameError(
                f"{where} has the classes '{printable(other)}' and '{printable(name)}', "
                "which look alike; give both one name"
            )


def _look(name: str) -> str:
    """Equal for names that differ in case, width, blanks or invisible letters alone."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    visible = "".join(letter for letter in folded if not _is_invisible(letter))
    return " ".join(visible.split())


def _is_invisible(letter: str) -> bool:
    return unicodedata.category(letter) == "Cf" or bool(_WITHOUT_SHAPE.match(letter))
