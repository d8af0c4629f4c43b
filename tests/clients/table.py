"""The table client, call, result of local_sagemaker/README.md, and the scripts that fill it."""

import ast
import json
import re
import shutil
import socket
import subprocess
from pathlib import Path

from runtime import docker
from tests.clients.rows import MARK
from tests.support.jobs import REPOSITORY

HERE = Path(__file__).parent
README = REPOSITORY / "local_sagemaker" / "README.md"
BEGIN = "<!-- written by python -m tests.clients -->\n"
END = "<!-- the end of what is written -->\n"
# By the engine they run on; in the table's order.
SCRIPTS = {
    "v3/first.py": "process",
    "v3/hosting.py": "process",
    "v3/tuning.py": "process",
    "v3/script_mode.py": "docker",
    "v3/local_container.py": "docker",
    "v3/registry.py": "process",
    "v3/processing.py": "docker",
    "v3/pipelines.py": "docker",
    "v2/first.py": "process",
    "v2/training.py": "process",
    "v2/hosting.py": "process",
    "v2/variants.py": "process",
    "v2/tuning.py": "process",
    "v2/script_mode.py": "docker",
    "v2/sources.py": "docker",
    "v2/processing.py": "docker",
    "v2/local_mode.py": "docker",
    "v2/registry.py": "process",
    "v2/pipelines.py": "docker",
    "v2/own_network.py": "docker",
}
# What a script needs beside its client and engine.
COMPOSE = "docker compose"
REGISTRY = "docker-registry"
PORT = "port 8080"  # where the SDKs' local modes serve
TORCH_SERVER = "the image slipway-serve-mms-torch"  # `IMAGES=serve-mms-torch make images`
NEEDS = {
    "v2/local_mode.py": [COMPOSE],
    "v3/local_container.py": [COMPOSE, PORT, REGISTRY],
    "v2/own_network.py": [TORCH_SERVER],
}
LIMIT_S = 1800
Row = tuple[str, str]  # call and result


def lacking(script: str) -> str | None:
    """What a script needs and this machine lacks."""
    for need in NEEDS.get(script, []):
        if need == PORT:
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", 8080)) == 0:
                    return f"a free {need}"
            continue
        if need == TORCH_SERVER:
            if docker.answers() and not docker.image_exists("slipway-serve-mms-torch:latest"):
                return need
            continue
        there = shutil.which(need.replace(" ", "-")) is not None
        if need == COMPOSE and not there:
            there = subprocess.run([*need.split(), "version"], capture_output=True).returncode == 0
        if not there:
            return need
    return None


def calls_of(script: str) -> list[str]:
    """The calls that a script has a row for, in its own order."""
    tree = ast.parse((HERE / script).read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "row":
            found.append((node.lineno, ast.literal_eval(node.args[0])))
    return [call for _, call in sorted(found)]


def rows_of(script: str, python: Path, folder: Path, environment: dict[str, str]) -> list[Row]:
    """Run a script in its client's environment; what it says of its calls."""
    done = subprocess.run(
        [str(python), str(HERE / script)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    print(done.stdout)  # pytest shows it where the test fails
    last = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    assert last, f"{script} broke off; the reason stands above"
    return [(call, result) for call, result in json.loads(last[-1].removeprefix(MARK))]


def version_of(script: str) -> str:
    """The version of a script's SDK, as it is locked."""
    client = script.partition("/")[0]
    lock = (HERE / f"requirements-{client}.txt").read_text(encoding="utf-8")
    found = re.search(r"^sagemaker==(\S+)", lock, re.MULTILINE)
    assert found is not None, "the lock has no SDK"
    return found[1]


def lines_of(script: str, rows: list[Row]) -> str:
    """A script's part of the table."""
    about = f"| SDK {version_of(script)} | {SCRIPTS[script]} "
    return "".join(f"{about}| {call} | {result} |\n" for call, result in rows)


def written() -> str:
    """The table's lines as they stand in the README."""
    text = README.read_text(encoding="utf-8")
    return text.partition(BEGIN)[2].partition(END)[0]


def write(lines: str) -> None:
    """Put other lines in their place."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    head = "\n| client | engine | call | result |\n| --- | --- | --- | --- |\n"
    README.write_text(f"{before}{BEGIN}{head}{lines}\n{END}{after}", encoding="utf-8")
