"""slipway serve: answer /ping and /invocations with the project's trained model, on this machine.

    curl -H 'Content-Type: image/jpeg' --data-binary @photo.jpg \\
        http://127.0.0.1:8080/invocations

Ctrl-C ends it.
"""

import argparse
import os
import shutil
import socket
import sys
from pathlib import Path

from artifact.host.listening import check_free
from artifact.host.os_errors import sentence_of
from artifact.text.names import printable
from recipes.command_line import RECIPE, CommandLine
from recipes.errors import RecipeError
from recipes.recipe import read_recipe
from runtime import docker
from runtime.container_engine import ENGINE_HELP, choose_container_engine
from runtime.engine_facts import PROCESS
from runtime.errors import RunError
from runtime.own_images import make_ready
from runtime.ports import free_port
from slipway.project import results_here
from slipway.steps import described

FAILED = 1
PORT = 8080
PAGE_MB = 14  # the page takes photos of 10 MB, which base64 makes larger


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C; the exit code: the server's, or 1 after one sentence."""
    return serve(parsed("serve", __doc__ or "", arguments))


def serve(options: argparse.Namespace, page: bool = False) -> int:
    """Become the server. 1 where it cannot start."""
    said_by = "web" if page else "serve"
    try:
        model = options.model.absolute()
        check_model(model)
        hooks = bring_hooks(model)
        options.port = options.port or free_port()
        check_free(options.host, options.port, "--port")
        name = choose_container_engine(options.engine)
        make_ready(name, "serve", "openvino")
    except (RunError, RecipeError, OSError) as error:
        print(f"{said_by}: failed: {printable(sentence_of(error))}", file=sys.stderr)
        return FAILED
    url = f"http://{in_brackets(options.host)}:{options.port}"
    shown = f"{url}/" if page else f"{url}/invocations"
    print(f"{said_by}: '{model}' at {shown}, with {described(name)}; Ctrl-C ends it", flush=True)
    samples = results_here().prepared / "validation"
    if name != PROCESS:
        command = in_docker(options, model, samples if page else None, hooks)
        os.execvp(command[0], command)
    environment = as_process(options, model, samples if page else None) | hooks
    os.execve(sys.executable, [sys.executable, "-m", "serve"], environment)


def check_model(model: Path) -> None:
    """RunError where the folder holds no model."""
    if not (model / "model.json").is_file():
        raise RunError(f"there is no model in '{model}'; type: slipway train")


def bring_hooks(model: Path) -> dict[str, str]:
    """Put the project's code/ into the model where the recipe wants hooks; the variables for it.

    Raises RunError, RecipeError.
    """
    if not RECIPE.exists() or not read_recipe(RECIPE).sagemaker.endpoint.hooks:
        return {}
    code = Path("code")
    if not (code / "hooks.py").is_file():
        raise RunError("the recipe has endpoint.hooks, and there is no code/hooks.py; write it")
    shutil.rmtree(model / "code", ignore_errors=True)
    (model / "code").mkdir()
    for path in code.glob("*.py"):
        shutil.copyfile(path, model / "code" / path.name)
    return {"SLIPWAY_HOOKS": "1"}


def in_docker(
    options: argparse.Namespace, model: Path, samples: Path | None, hooks: dict[str, str]
) -> list[str]:
    """The command that serves in a container. samples: of the page; None for no page."""
    words = [
        *(f"--env={name}={value}" for name, value in hooks.items()),
        f"--publish={published(options.host)}:{options.port}:{docker.SERVING_PORT}",
        docker.mount(model, "/opt/ml/model"),
    ]
    if samples:
        words += ["--env=SLIPWAY_PAGE=1", f"--env=SAGEMAKER_MAX_PAYLOAD_IN_MB={PAGE_MB}"]
        if samples.is_dir():
            words += [docker.mount(samples, "/samples"), "--env=SLIPWAY_SAMPLES=/samples"]
    image = docker.own_image("slipway-serve")
    return docker.run_command(image, ["serve"], f"slipway-serve-{os.getpid()}", words)


def published(host: str) -> str:
    """A host as engines publish a port at it: its address, since they know no names."""
    return in_brackets(str(socket.getaddrinfo(host, None)[0][4][0]))


def in_brackets(host: str) -> str:
    """A host as it stands before a port: the colons of IPv6 are not those of the port."""
    return f"[{host}]" if ":" in host else host


def as_process(options: argparse.Namespace, model: Path, samples: Path | None) -> dict[str, str]:
    """The environment of a server that is a process here. samples: as above."""
    environment = {
        **os.environ,
        "SLIPWAY_MODEL_DIR": str(model),
        "SLIPWAY_HOST": options.host,
        "SAGEMAKER_BIND_TO_PORT": str(options.port),
    }
    if samples:
        environment["SLIPWAY_PAGE"] = "1"
        environment["SAGEMAKER_MAX_PAYLOAD_IN_MB"] = str(PAGE_MB)
        if samples.is_dir():
            environment["SLIPWAY_SAMPLES"] = str(samples)
    return environment


def parsed(program: str, description: str, arguments: list[str] | None) -> argparse.Namespace:
    """The options, which `serve` and `web` share."""
    parser = CommandLine(prog=program, description=description)
    parser.add_argument(
        "model",
        nargs="?",
        type=Path,
        default=results_here().model,
        metavar="MODEL",
        help="folder of the model (default: out/ml/model)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address (default: 127.0.0.1)")
    parser.add_argument(
        "--port", type=int, default=PORT, help=f"0 takes a free one (default: {PORT})"
    )
    parser.add_argument("--engine", default="", help=ENGINE_HELP)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
