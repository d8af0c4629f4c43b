"""What macOS lacks: GNU's options and programs, and what came after bash 3.2 and GNU make 3.81."""

import re
from collections.abc import Iterator

# What runs on Debian alone, or inside a container
LINUX_ONLY = {
    ".ci/run": "prepares a bare Debian",
    "docker/base.sh": "debootstrap",
    "docker/trim.sh": "runs in an image",
    "tests/fresh_machine.sh": "debootstrap",
}

# Bash 3.2 is of 2006, and the newest that macOS has.
BASH = {
    r"\b(mapfile|readarray|coproc)\b": "bash 4.0",
    r"\$\{!?\w+(\[[^]]*\])?(,,?|\^\^?)": "bash 4.0: the case of letters",
    r"\b(declare|local|typeset)\s+-\w*[Agln]": "bash 4: associative arrays, references",
    r"\bwait\s+-n\b": "bash 4.3",
    r"\$\{\w+(\[[^]]*\])?@[A-Za-z]\}": "bash 4.4",
    r"\|&|&>>|;;&|;&": "bash 4.0",
    r"\[\[? -v ": "bash 4.2",
    r"%\([^)]*\)T": "bash 4.2: printf",
    r"\$\{?(EPOCHSECONDS|EPOCHREALTIME|BASHPID|SRANDOM)\b": "bash 4 and 5",
    r"\{\d+\.\.\d+\.\.": "bash 4.0: steps",
    r"\$\{\w+:[^}:]*:\s*-\d": "bash 4.2: a negative length",
    r"\bglobstar\b|\blastpipe\b|\binherit_errexit\b": "bash 4",
    r"\bread\b[^;|&]* -t ?[0-9]*\.": "bash 4.0: part of a second",
    r"\bexec \{\w+\}[<>]": "bash 4.1",
    r"(?<!CDPATH='' )\bcd (-\w+ |-- )*\"\$\(dirname": "CDPATH in the environment leads elsewhere",
}
# GNU make 3.81 is of 2006, too.
MAKE = {
    r"^\s*(undefine|private)\b": "make 3.82",
    r"^\.(ONESHELL|SHELLFLAGS|RECIPEPREFIX)": "make 3.82",
    r"^\w+\s*!=|^\w+\s*:{2,3}=": "make 4.0",
    r"&:": "make 4.3",
    r"\$\((file|let|intcmp|guile) ": "make 4",
    r"--output-sync|\s-O\b": "make 4.0",
}
ABSENT = (
    *("timeout", "nproc", "tac", "setsid", "flock", "numfmt", "realpath", "sha256sum", "md5sum"),
    *("sha1sum", "shuf", "factor", "free", "ldd", "getent", "pidof"),
)
AT_COMMAND = r"(?:^|[;&|({!`]|\b(?:then|do|else|exec|if|while|until|xargs))\s*(?:\w+=\S*\s+)*"
PLAIN = (
    *("awk", "cat", "chmod", "cp", "cut", "date", "du", "df", "env", "find", "grep", "head", "ln"),
    *("ls", "mkdir", "mktemp", "mv", "paste", "ps", "rm", "sed", "seq", "sleep", "sort", "stat"),
    *("tail", "tar", "tee", "touch", "tr", "uniq", "wc", "xargs", "cksum", "dirname", "basename"),
)
COMMANDS = {
    rf"(?:{'|'.join(ABSENT)})(?=\s|$|\))": "not on macOS",
    rf"(?:{'|'.join(PLAIN)})\s(?:[^;|&]*\s)?--[a-z]": "a long option: GNU's",
    r"readlink\s+-\w*[efm]": "GNU's",
    r"stat\s+-\w*c": "GNU's; BSD has -f",
    r"date\s+.*(-d|%N)": "GNU's",
    r"sed\s+(-\w+\s+)*-\w*(i|r)": "GNU's; BSD wants a suffix after -i, and -E",
    r"sed\s.*\\[+?|sw]": "GNU's regular expressions",
    r"grep\s+(-\w+\s+)*-\w*P": "GNU's",
    r"sort\s+(-\w+\s+)*-\w*[VhR]": "GNU's",
    r"head\s+(-n|-c)\s*-": "GNU's: all but the last",
    r"xargs\s+(-\w+\s+)*-\w*[rd]": "GNU's",
    r"find\s.*\s-(printf|regextype|executable)\b": "GNU's",
    r"du\s+-\w*b": "GNU's",
    r"base64\s+-w": "GNU's",
    r"ln\s+-\w*r": "GNU's",
    r"awk\s.*\b(gensub|strftime|systime|asorti?)\(": "gawk's",
}
EMPTY = re.compile(r"\b(\w+)=\(\)")


def without_comments(line: str) -> str:
    return re.sub(r"(^|\s)#\s.*$|^#.*$", "", line)


def faults(text: str, kind: str) -> Iterator[str]:
    """Lines with what macOS lacks, and why. kind: 'script' or 'make'."""
    rules = dict(BASH if kind == "script" else MAKE)
    rules |= {AT_COMMAND + pattern: reason for pattern, reason in COMMANDS.items()}
    if kind == "make":  # a recipe's line may begin with @ and -
        rules |= {r"^\t[@-]*" + pattern: reason for pattern, reason in COMMANDS.items()}
    lines = [without_comments(line) for line in text.splitlines()]
    for number, line in enumerate(lines, 1):
        for pattern, reason in rules.items():
            if re.search(pattern, line):
                yield f"{number}: {line.strip()!r}: {reason}"
    yield from bare_arrays(lines)


def bare_arrays(lines: list[str]) -> Iterator[str]:
    """Under `set -u` bash 3.2 takes an empty array as unset: `${a[@]+"${a[@]}"}` is safe."""
    if not any(re.match(r"set -\w*u", line) for line in lines):
        return
    for name in {name for line in lines for name in EMPTY.findall(line)}:
        for number, line in enumerate(lines, 1):
            guarded = re.sub(rf'\$\{{{name}\[@\]\+"\$\{{{name}\[@\][^}}]*\}}"\}}', "", line)
            if re.search(rf"\$\{{{name}\[[@*]\](?!-)", guarded):
                yield f"{number}: {line.strip()!r}: '{name}' may be empty under set -u"
