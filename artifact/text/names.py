"""Names from outside, such as those of files, in text for people, logs and files of text.

A name of a file is bytes. Python writes a byte that is not UTF-8 as half of a surrogate pair, which
no UTF-8 text can hold; and a line end in a name would begin a line of its own in a log.
"""

import io
import sys


def printable(text: object) -> str:
    r"""One line that every output can hold; what cannot be printed is escaped, such as \n."""
    return "".join(map(_escaped, str(text)))


def writable(text: str) -> str:
    r"""Text of any lines that UTF-8 can hold: a byte that is not UTF-8 becomes \udcff and so on."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def is_text(name: str) -> bool:
    """Whether UTF-8 can hold a name."""
    return writable(name) == name


def shell_word(text: object) -> str:
    """A text in quotes, as a shell reads it back, for a command that a sentence names."""
    return "'" + str(text).replace("'", r"'\''") + "'"


def escape_output() -> None:
    """Let this process print any name: what its output cannot hold is escaped, not an error."""
    for stream in (sys.stdout, sys.stderr):
        # A test's or a notebook's stream may be of another kind.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _escaped(letter: str) -> str:
    if letter.isprintable():
        return letter
    return letter.encode("unicode_escape").decode("ascii")
