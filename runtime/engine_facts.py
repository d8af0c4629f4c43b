"""What the container engine here is: Docker or Podman, rootless or not, with GPUs or without.

docker/engine.sh finds it out, for shell scripts and for this. ENGINE in the environment names the
engine; this process and all that it starts then call the same one.
"""

import functools
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import RunError

ENGINE = "ENGINE"  # the variable
PLATFORM = "DOCKER_DEFAULT_PLATFORM"
PROCESS = "process"  # no engine: plain processes
# Not by runtime.processes, whose reaper needs this module.
PROGRAM = Path(__file__).resolve().parent.parent / "docker" / "engine.sh"


@dataclass(frozen=True)
class EngineFacts:
    """What `docker/engine.sh --facts` prints.

    engine: the program to call, docker or podman; process where neither answers. state: answers,
    denied, silent or missing; found: the same in words; mend: the command that mends it. podman:
    whether it is Podman, which may also have the name docker. gpus, confinement: options of `run`,
    for all GPUs and to read the user's folders. checkout: a tag that only this checkout's images
    carry. architecture: the engine's own, amd64 or arm64.
    """

    engine: str
    state: str
    found: str
    mend: str
    podman: bool
    rootless: bool
    gpus: tuple[str, ...]
    confinement: tuple[str, ...]
    checkout: str
    architecture: str

    @property
    def answers(self) -> bool:
        return self.state == "answers"

    @property
    def program(self) -> str:
        """The program to call. Without any it is docker, which then says what is wrong."""
        return "docker" if self.engine == PROCESS else self.engine


def facts() -> EngineFacts:
    """Of the engine that ENGINE names, else of the one that answers. It is asked once."""
    return _facts(os.environ.get(ENGINE, ""), os.environ.get("PATH", ""))


def choose(wanted: str) -> str:
    """docker, podman or process: as wanted, else as ENGINE says, else what answers.

    An engine holds from then on for this process and all that it starts. RunError when the wanted
    one does not answer. Where one command would let containers run, stderr gets that command.
    """
    environment = {**os.environ, ENGINE: wanted or os.environ.get(ENGINE, "")}
    asked = subprocess.run([PROGRAM], env=environment, capture_output=True, text=True, check=False)
    if asked.returncode:
        raise RunError(asked.stderr.strip())
    sys.stderr.write(asked.stderr)
    name = asked.stdout.strip()
    if name != PROCESS:
        os.environ[ENGINE] = name
    return name


@functools.cache
def _facts(engine: str, path: str) -> EngineFacts:
    """They hold for these two variables."""
    # Whatever asks an engine has been here first; the reason stands in docker/engine.sh.
    os.environ.pop(PLATFORM, None)
    asked = subprocess.run([PROGRAM, "--facts"], stdout=subprocess.PIPE, text=True, check=True)
    values = dict(line.split("=", 1) for line in asked.stdout.splitlines())
    return EngineFacts(
        engine=values["engine"],
        state=values["state"],
        found=values["found"],
        mend=values["mend"],
        podman=values["podman"] == "yes",
        rootless=values["rootless"] == "yes",
        gpus=tuple(values["gpus"].split()),
        confinement=tuple(values["confinement"].split()),
        checkout=values["checkout"],
        architecture=values["architecture"],
    )
