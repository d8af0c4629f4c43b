"""Times and counts, in the words of the console's pages."""

import time


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
