"""A finding of `launch check`: ok, a warning, or a failure, with its sentence."""

from dataclasses import dataclass

# Printed at the beginning of each line.
GOOD = "ok"
WARNING = "warning"
BAD = "failed"


@dataclass(frozen=True)
class Finding:
    """The result of one look. level: GOOD, WARNING (it may still work) or BAD."""

    level: str
    text: str


def required(fits: bool, text: str, mistake: str) -> Finding:
    """GOOD with the text where it fits; else BAD, with the mistake after the text."""
    if fits:
        return Finding(GOOD, text)
    return Finding(BAD, text + mistake)
