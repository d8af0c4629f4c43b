"""Times, lengths of time and counts, in the words of the console's pages."""

import time

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86400


def moment(seconds: float) -> str:
    """A time since the epoch as this machine's clock has it; browser and server share it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def moment_of_today(seconds: float) -> str:
    """The same, without the day where it is this one."""
    words = moment(seconds)
    day, _, clock = words.partition(" ")
    if day == moment(time.time()).partition(" ")[0]:
        return f"today {clock}"
    return words


def duration(seconds: float) -> str:
    """3 s, 2 min 5 s, 1 h 2 min, 3 d 4 h."""
    whole = max(0, round(seconds))
    for unit_s, unit, part_s, part in (
        (DAY_S, "d", HOUR_S, "h"),
        (HOUR_S, "h", MINUTE_S, "min"),
        (MINUTE_S, "min", 1, "s"),
    ):
        if whole >= unit_s:
            rest = whole % unit_s // part_s
            return f"{whole // unit_s} {unit} {rest} {part}"
    return f"{whole} s"


def count(size: int, one: str, several: str = "") -> str:
    """1 trial, 3 trials."""
    if size == 1:
        return f"1 {one}"
    return f"{size} {several or one + 's'}"
