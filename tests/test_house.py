"""The house's own rules: which way imports run, and that the README says what is there."""

import ast
import dataclasses
import re
import subprocess

import pytest

from recipes.hyperparameters import Hyperparameters
from tests.support.jobs import REPOSITORY

PACKAGES = sorted(path.parent.name for path in REPOSITORY.glob("*/__init__.py"))
# who may import whom, beside itself; what is not listed may not
ARROWS = {
    "artifact": set(),
    "prepare": {"artifact"},
    "train": {"artifact", "diagnose"},
    "diagnose": {"artifact"},
    "tune": {"artifact", "train"},
    "serve": {"artifact", "web"},
    "api": {"web"},
    "web": set(),
    "local_test": {"artifact"},
    "launch": {"artifact", "tune"},
}
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def imported(path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package):
    for path in (REPOSITORY / package).rglob("*.py"):
        foreign = imported(path) & set(PACKAGES) - {package}
        assert foreign <= ARROWS[package], (
            f"{path.relative_to(REPOSITORY)} imports {foreign - ARROWS[package]}"
        )


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_have_an_empty_init(package):
    assert (REPOSITORY / package / "__init__.py").read_text() == ""


def test_docker_is_no_package():
    assert not (REPOSITORY / "docker" / "__init__.py").exists()


def test_files_stay_small():
    long = {
        str(path.relative_to(REPOSITORY)): len(path.read_text(encoding="utf-8").splitlines())
        for folder in [*PACKAGES, "tests", "docker", "bench"]
        for path in (REPOSITORY / folder).rglob("*.py")
    }
    assert {name: lines for name, lines in long.items() if lines > 300} == {}


def test_the_readme_lists_every_hyperparameter_with_its_default():
    rows = dict(re.findall(r"^\| `([a-z_0-9]+)` \| (.*?) \|", README, re.M))
    fields = {entry.name: entry for entry in dataclasses.fields(Hyperparameters)}
    listed = {name: rows[name] for name in rows if name in fields}
    assert set(listed) == set(fields)
    for name, entry in fields.items():
        default = entry.default
        shown = (
            ",".join(map(str, default))
            if isinstance(default, tuple)
            else str(default).lower()
            if isinstance(default, bool)
            else f"{default}"
        )
        assert listed[name] == (f"`{shown}`" if shown else ""), name


def test_the_readme_names_the_make_targets_that_exist():
    targets = set(re.findall(r"^([a-z0-9-]+):.*## ", (REPOSITORY / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z0-9-]+)", README)) == targets
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert {line.split()[0] for line in shown.splitlines()} == targets


def test_the_readme_names_the_environment_variables_that_are_read():
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*.py")
    )
    pattern = r"(?:SLIPWAY|SAGEMAKER)_[A-Z0-9_]+"
    assert set(re.findall(rf'"({pattern})"', code)) - {"SAGEMAKER_PROGRAM"} == set(
        re.findall(rf"^\| `({pattern})`", README, re.M)
    )


def test_the_file_tree_of_the_readme_is_there():
    tree = README.partition("## What is where")[2].partition("```")[2].partition("```")[0]
    named = re.findall(r"^([A-Za-z_.]+/?)", tree, re.M)
    assert len(named) > 8
    for name in named:
        assert (REPOSITORY / name).exists(), name
    for package in PACKAGES:
        assert f"{package}/" in named
