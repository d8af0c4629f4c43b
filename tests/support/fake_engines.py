"""Stand-ins for the programs docker and podman."""

import shutil
from pathlib import Path

import pytest

# what docker/engine.sh calls beside an engine
TOOLS = ("bash", "cat", "cksum", "dirname", "env", "grep", "sh", "uname")
DOCKER = """
case "$*" in
    *Runtimes*) echo '{"runc": {}, "nvidia": {}}' ;;
    *SecurityOptions*) echo '["name=seccomp,profile=default"]' ;;
    *Server.Arch*) echo amd64 ;;
    --version) echo "Docker version 28.2.2, build 1" ;;
esac
"""
# as podman 5.4 answers: it does not know .Runtimes
PODMAN = """
case "$*" in
    *Runtimes* | *SecurityOptions*) echo "Error: can't evaluate field" >&2; exit 125 ;;
    *Rootless*) echo true ;;
    *Host.Arch*) echo amd64 ;;
    --version) echo "podman version 5.4.2" ;;
esac
"""


def only(
    folder: Path, patch: pytest.MonkeyPatch, tools: tuple[str, ...] = (), **programs: str
) -> Path:
    """Have no engine but these, lines of sh by name; the folder, which is then the whole PATH.

    tools: further programs of this machine that are called.
    """
    folder.mkdir()
    for tool in {*TOOLS, *tools}:
        found = shutil.which(tool)
        assert found, tool
        (folder / tool).symlink_to(found)
    for name, lines in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{lines}\n")
        (folder / name).chmod(0o755)
    patch.setenv("PATH", str(folder))
    patch.setenv("ENGINE", "")  # as without it; afterwards it is as it was
    patch.setenv("CDI_FOLDERS", str(folder / "cdi"))
    return folder
