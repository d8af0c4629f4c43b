"""python -m local_test.conformance: for one version, names its new command."""

import sys

SENTENCE = "local_test.conformance has moved: run `python -m conformance` with the same options"


def main() -> int:
    """Say it: 0 where help is asked for, else 2."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(SENTENCE)
        return 0
    print(SENTENCE, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
