"""Only runtime/ runs `docker` or `podman`, and writes resourceconfig.json."""

import ast
from pathlib import Path

import pytest

from tests.support.jobs import REPOSITORY

PACKAGES = sorted(path.parent for path in REPOSITORY.glob("*/__init__.py"))
OTHERS = [path for path in PACKAGES if path.name not in ("runtime", "tests")]
WRITERS = [path for path in OTHERS if path.name != "train"]  # which reads that file


def commands(path: Path) -> list[str]:
    """The first word of every list and tuple in a module: there a program is named."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.List | ast.Tuple) or not node.elts:
            continue
        first = node.elts[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            found.append(first.value)
    return found


@pytest.mark.parametrize("package", OTHERS, ids=lambda path: path.name)
def test_only_runtime_runs_docker(package):
    for path in package.rglob("*.py"):
        named = [word for word in commands(path) if word in ("docker", "podman")]
        assert not named, f"{path.relative_to(REPOSITORY)} runs docker; use runtime.docker"


def test_the_way_it_is_found_finds_it():
    assert "docker" in commands(REPOSITORY / "tests" / "support" / "planted_images.py")


@pytest.mark.parametrize("package", WRITERS, ids=lambda path: path.name)
def test_only_runtime_writes_resourceconfig(package):
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "network_interface_name" not in text, f"{path.relative_to(REPOSITORY)} writes it"
