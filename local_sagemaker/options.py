"""The options of `python -m local_sagemaker`."""

import argparse
from pathlib import Path

from local_sagemaker.access.guard import add_allow_host
from local_sagemaker.members import described
from recipes.command_line import CommandLine
from runtime.container_engine import ENGINE_HELP

PROGRAM = "local_sagemaker"
PORT = 8090
# What a caller may take for done
NOT_DONE = (
    "Explainers and inference components are refused. An update watches the state that CloudWatch "
    "gives its alarms: moto's evaluates none, so that SetAlarmState sets it. An update that the "
    "end of the server breaks off is forgotten."
)
COMMANDS = {
    "start": "serve until Ctrl-C or SIGTERM (the default)",
    "env": 'print exports for the shell: eval "$(… env)"; waits until the server answers',
    "link": "print a link that opens the server's console in a browser, once",
    "stop": "end the server, and wait until it has stopped what runs",
}


def parsed(description: str, arguments: list[str] | None) -> argparse.Namespace:
    lists = f"{NOT_DONE}\n\n{described()}"
    parser = CommandLine(prog=PROGRAM, description=f"{description}\n{lists}")
    texts = "; ".join(f"{name}: {text}" for name, text in COMMANDS.items())
    parser.add_argument("command", nargs="?", default="start", choices=tuple(COMMANDS), help=texts)
    parser.add_argument(
        "--state",
        type=Path,
        default=Path("out/sagemaker"),
        help="folder of all it remembers, its logs and what runs (default out/sagemaker)",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)"
    )
    parser.add_argument(
        "--port", type=int, default=PORT, help=f"0 takes a free one (default {PORT})"
    )
    add_allow_host(parser)
    parser.add_argument("--engine", default="", help=ENGINE_HELP)
    parser.add_argument(
        "--root",
        action="append",
        type=Path,
        default=[],
        metavar="FOLDER",
        help="a folder that may stand in for S3, beside the folder of start; several times",
    )
    _add_surroundings(parser)
    return parser.parse_args(arguments)


def _add_surroundings(parser: argparse.ArgumentParser) -> None:
    """The options on what stands beside the server."""
    parser.add_argument(
        "--recipe",
        type=Path,
        help="whose region, role and bucket there are (default: recipe.yaml of this folder)",
    )
    parser.add_argument("--region", default="", help="in place of the recipe's")
    parser.add_argument(
        "--moto-port",
        type=int,
        default=0,
        metavar="PORT",
        help="of moto's server (default: a free one)",
    )
    parser.add_argument(
        "--alone",
        action="store_true",
        help="start no moto, and build no images: only the server",
    )
    parser.add_argument(
        "--own-key",
        action="store_true",
        help="also take requests signed with this server's own AWS credentials, as for a real S3",
    )
