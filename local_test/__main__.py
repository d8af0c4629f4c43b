"""python -m local_test: what can be tried on this machine. Each part is a module of its own."""

import sys

PARTS = {
    "python -m local_test.demo": "photos to a tested endpoint; as `make demo`",
    "python -m local_test.e2e": "every step on SageMaker's API of this machine; as `make e2e`",
    "python -m local_test.soak": "load and hostile requests on a container; as `make soak`",
    "python -m local_test.stick_figures": "draw a labelled set of photos",
    "local_test/train.sh IMAGE ROOT": "a training image as SageMaker runs it",
    "local_test/serve.sh IMAGE ROOT": "a serving image as SageMaker runs it",
    "local_test/predict.sh URL PHOTO": "ask a server for a photo",
}
USAGE_ERROR = 2


def main(arguments: list[str]) -> int:
    """Print the list: 0 where it is asked for, and 2 where a part was expected here."""
    asked = not arguments or arguments[0] in ("-h", "--help")
    rows = [f"  {command:36} {text}" for command, text in PARTS.items()]
    lines = ["usage: one of these, each of which answers --help or says its usage:", "", *rows]
    print("\n".join(lines), file=sys.stdout if asked else sys.stderr)
    return 0 if asked else USAGE_ERROR


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
