"""What stands in for a reader's machine: an empty home folder, and the repository's address.

- `git clone ADDRESS` takes this checkout, with its uncommitted changes, by git's `url.insteadOf`.
- The clone gets the environment of these tests by links, through git's template of hooks. A fresh
  machine's own installation is what tests/fresh_machine.sh tries.
- With ENGINE=process no Docker engine is seen, and as root the pages' ports are a network's own.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runtime import docker
from tests.blocks.pages import pages
from tests.support.jobs import REPOSITORY

CLONE = re.compile(r"^git clone (\S+)", re.MULTILINE)
NO_ENGINE = "unix:///nonexistent/docker.sock"
# The clone's .venv has the parts of the environment of these tests, and a stamp of its own by which
# `make` finds it up to date (slipway/environment.sh).
HOOK = """#!/bin/sh
set -eu
[ ! -e .venv ] || exit 0
mkdir .venv
for part in bin include lib lib64 pyvenv.cfg share; do
    [ ! -e '{environment}'/"$part" ] || ln -s '{environment}'/"$part" .venv/
done
cksum docker/requirements-dev.txt docker/requirements-smdebug.txt >.venv/.process
if [ -d '{environment}-docs' ]; then ln -s '{environment}-docs' .venv-docs; fi
"""
# What a user's shell would not have: of the tests, of AWS, of git's own run here.
FOREIGN = re.compile(r"AWS_|GIT_|PYTEST|SLIPWAY_|SAGEMAKER_|MAKE|MFLAGS|VIRTUAL_ENV|PYTHON")


@dataclass(frozen=True)
class World:
    """folder: empty at first, where README.md is read. environment: of the reader's shell.

    starter: what starts the shell.
    """

    folder: Path
    environment: dict[str, str]
    starter: list[str]

    @property
    def checkout(self) -> Path:
        """The clone that README.md makes, where the pages of docs/ begin."""
        return self.folder / "slipway"

    @property
    def has_engine(self) -> bool:
        """Whether the reader has a Docker engine."""
        return "DOCKER_HOST" not in self.environment and docker.answers()


def make_world(root: Path) -> World:
    """A reader's machine below an empty folder."""
    folder = root / "reader"
    home = root / "home"
    for made in (folder, home):
        made.mkdir(parents=True)
    origin = _origin(root / "origin.git")
    settings = {
        f"url.{origin}.insteadOf": address(),
        "init.templateDir": str(_template(root / "template")),
        "protocol.file.allow": "always",
        "safe.directory": "*",
        "user.name": "Reader",
        "user.email": "reader@example.org",
    }
    own = {name: value for name, value in os.environ.items() if not FOREIGN.match(name)}
    environment = {
        **own,
        **_git_variables(settings),
        "HOME": str(home),
        "PATH": f"{home}/.local/bin:{os.environ['PATH']}",
        "SLIPWAY_CACHE": str(root / "cache"),
    }
    starter: list[str] = []
    if environment.pop("ENGINE", "") == "process":
        environment["DOCKER_HOST"] = NO_ENGINE
        starter = _own_network()
    return World(folder, environment, starter)


def address() -> str:
    """The repository's address, which is the same on all pages."""
    texts = [(REPOSITORY / page).read_text(encoding="utf-8") for page in pages()]
    [found] = {name for text in texts for name in CLONE.findall(text)}
    return found


def _own_network() -> list[str]:
    """What runs a command with ports of its own, where that may be and all is on this machine.

    Then the pages' ports are free, whatever else runs here.
    """
    if os.geteuid() == 0 and shutil.which("unshare") and shutil.which("ip"):
        return ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"]
    return []


def _origin(folder: Path) -> Path:
    """A bare repository whose `main` is this checkout's content, committed or not."""

    def git(*words: str) -> str:
        command = ["git", *words]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    commit = git("stash", "create") or git("rev-parse", "HEAD")
    shared = (REPOSITORY / git("rev-parse", "--git-common-dir")).resolve()
    git("init", "--quiet", "--bare", "--initial-branch=main", str(folder))
    (folder / "objects/info/alternates").write_text(f"{shared / 'objects'}\n", encoding="utf-8")
    if (shared / "shallow").exists():
        shutil.copy(shared / "shallow", folder / "shallow")
    git("--git-dir", str(folder), "update-ref", "refs/heads/main", commit)
    return folder


def _template(folder: Path) -> Path:
    """A template for git's new repositories, whose hook makes the environment's link."""
    hook = folder / "hooks" / "post-checkout"
    hook.parent.mkdir(parents=True)
    hook.write_text(HOOK.format(environment=sys.prefix), encoding="utf-8")
    hook.chmod(0o755)
    return folder


def _git_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Git's settings as variables of the environment."""
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (name, value) in enumerate(settings.items()):
        variables[f"GIT_CONFIG_KEY_{number}"] = name
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return variables
