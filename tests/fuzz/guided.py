"""python -m tests.fuzz.guided decode|requests [libFuzzer's options]: guided by coverage.

atheris watches which code of ours and of Pillow's an input reaches, and keeps the inputs that reach
more. decode: photos, each held to the same bounds as those of the mutator. requests: everything
that reads a request before. It runs until it is stopped, or for -max_total_time=SECONDS or
-runs=N. An input that fails is written as crash-…; the same command with that file repeats it.

atheris is in docker/requirements-fuzz.txt; it has wheels for Linux on x86_64 only.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["PIL", "artifact", "serve", "web", "werkzeug"]):
    from tests.fuzz import corpus, parsers, watch


def decode(data: bytes) -> None:
    """One photo. AssertionError for a finding."""
    cost = watch.measured(0, "", data)
    assert not cost.finding(), cost.finding()


def requests(data: bytes) -> None:
    """Content-Type on the first line, the body below."""
    header, _, body = data.partition(b"\n")
    parsers.parse(header, body)


TARGETS = {"decode": decode, "requests": requests}


def seeds(name: str) -> list[bytes]:
    """Valid inputs to begin with."""
    if name == "decode":
        return [photo for photos in corpus.corpus().values() for photo in photos]
    return [header + b"\n" + body for header, body in parsers.REQUESTS]


def main(arguments: list[str]) -> None:
    if not arguments or arguments[0] not in TARGETS:
        sys.exit(__doc__)
    name = arguments[0]
    with tempfile.TemporaryDirectory(prefix="slipway-fuzz-") as folder:
        for number, seed in enumerate(seeds(name)):
            (Path(folder) / str(number)).write_bytes(seed)
        # libFuzzer's own limit is of a whole process; ours is of one photo.
        atheris.Setup([sys.argv[0], "-rss_limit_mb=4096", *arguments[1:], folder], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
