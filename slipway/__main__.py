"""python -m slipway COMMAND ...: one door to the commands of all packages.

A command takes what `python -m PACKAGE` takes, and is the same code. This module knows their names
and one line on each; it loads nothing of a package before that package is asked for.
"""

import runpy
import sys

COMMANDS = {
    "prepare": "photos of any kind to verified RGB, a split and a report",
    "train": "one training job on an /opt/ml tree",
    "tune": "the tuning jobs of a recipe, on this machine",
    "diagnose": "SageMaker Debugger's rules over a training's tensors and profile",
    "serve": "answer /ping and /invocations for a model",
    "launch": "the same steps on SageMaker, by boto3",
    "local-sagemaker": "SageMaker's own API on this machine",
    "conformance": "any image against SageMaker's container contract",
}
USAGE_ERROR = 2


def main(arguments: list[str]) -> int:
    """Run the package of the first argument on the others; the exit code where none runs."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    command = arguments[0]
    if command not in COMMANDS:
        print(
            f"slipway: '{command}' is not a command; known: {', '.join(COMMANDS)}", file=sys.stderr
        )
        return USAGE_ERROR
    package = command.replace("-", "_")
    sys.argv = [f"slipway {command}", *arguments[1:]]
    runpy.run_module(package, run_name="__main__", alter_sys=True)
    return 0


def usage() -> str:
    """The list of commands, one per line."""
    rows = [f"  {name:16} {text}" for name, text in COMMANDS.items()]
    return "\n".join(["usage: python -m slipway COMMAND ...", "", *rows])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
