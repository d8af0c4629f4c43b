"""slipway push [IMAGE ...]: build the images, and push them to ECR or another registry.

It is build_and_push.sh. The images' addresses are written where the recipe finds them: in a
project's folder to out/images.json there, elsewhere to the checkout's. Variables: AWS_REGION,
AWS_PROFILE, REGISTRY, LATEST, DIRTY, IMMUTABLE, as in that script's head.
"""

import os
import sys
from pathlib import Path

from recipes.command_line import CommandLine, recipe_here
from runtime.processes import REPOSITORY
from slipway.project import OUT

IMAGES_FILE = "images.json"


def main(arguments: list[str] | None = None) -> int:
    """Become build_and_push.sh."""
    parser = CommandLine(prog="push", description=__doc__)
    parser.add_argument(
        "images",
        nargs="*",
        default=["all"],
        metavar="IMAGE",
        help="train, serve, serve-gpu, serve-mms, serve-mms-torch or all (default: all)",
    )
    options = parser.parse_args(arguments)
    environment = {"VENV": sys.prefix, **os.environ}
    if recipe_here():
        environment.setdefault("OUT", str((Path.cwd() / OUT / IMAGES_FILE).absolute()))
    script = str(REPOSITORY / "build_and_push.sh")
    os.execve(script, [script, *options.images], environment)


if __name__ == "__main__":
    sys.exit(main())
