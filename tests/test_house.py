"""The house's own rules: which way imports run, how long things are, and what the pages name."""

import ast
import fnmatch
import graphlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from artifact.host.environment import VARIABLES
from launch.requests_api import FOLDERS
from tests.support.jobs import REPOSITORY

PACKAGES = sorted(
    path.parent.name for path in REPOSITORY.glob("*/__init__.py") if path.parent.name != "tests"
)
# Which packages each may import, beside itself. ARCHITECTURE.md says the same in words.
ARROWS = {
    "artifact": set(),
    "recipes": {"artifact"},
    "runtime": {"artifact", "recipes"},
    "prepare": {"artifact", "recipes"},
    "diagnose": {"artifact", "recipes"},
    "train": {"artifact", "recipes", "diagnose"},
    "tune": {"artifact", "recipes", "train", "runtime"},
    "web": {"artifact"},
    "serve": {"artifact", "web"},
    "launch": {"artifact", "recipes", "tune"},
    "local_sagemaker": {"artifact", "recipes", "runtime"},
    "conformance": {"artifact", "recipes", "runtime"},
    "local_test": {"artifact", "recipes", "runtime", "local_sagemaker", "slipway"},
    "slipway": {"artifact", "recipes", "runtime"},
    "reference": {
        *("artifact", "recipes", "runtime"),
        *("diagnose", "serve", "web", "conformance", "slipway", "launch"),
    },
}
TOP_LEVEL = {
    *PACKAGES,
    *("bin", "docker", "bench", "docs", "notebooks", "tests", ".ci"),
    *("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE"),
    *(
        "Makefile",
        "mkdocs.yml",
        "build_and_push.sh",
        "pyproject.toml",
        ".gitignore",
        ".dockerignore",
    ),
}
MOST_LINES = 300  # of a file
MOST_COLUMNS = 100  # of what is written by hand and is not prose
# Files with longer lines, and why.
LONG_LINES = {
    "*.md": "prose: a reader's editor wraps it",
    "*.md.j2": "the same, as a template",
    "docker/requirements-*.txt": "locks: uv writes them",
    "recipes/published_weights.txt": "a line holds a model with all its weights",
    "recipes/networks.txt": "a line holds all networks of one form",
    "bench/requirements-*.txt": "locks",
    "tests/clients/requirements-*.txt": "locks",
    "notebooks/*.ipynb": "JSON; a test holds the cells to the same",
    "*.png": "pictures",
    "docs/assets/iframe-worker.js": "a library, as it was published",
}
MOST_LINES_OF_A_FUNCTION = 40
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8")
CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z0-9-]+):.*## ", (REPOSITORY / "Makefile").read_text(), re.M))


def files_of(package: str) -> list[Path]:
    return sorted((REPOSITORY / package).rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for package in PACKAGES for path in files_of(package)}


def running_code(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those below `if TYPE_CHECKING:`, which only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from running_code(node)


def imported_modules(path: Path) -> set[str]:
    """The project's modules that a file imports, at its top or within functions."""
    names = set()
    for node in running_code(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            # `from package import module` needs the module; `from module import name` the module.
            names |= {name for name in below if name in MODULES} or {node.module}
    return {name for name in names if name in MODULES}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package):
    for path in files_of(package):
        foreign = {name.partition(".")[0] for name in imported_modules(path)} - {package}
        forbidden = foreign - ARROWS[package]
        assert not forbidden, f"{path.relative_to(REPOSITORY)} imports {forbidden}"


LAMBDA_MODULES = {
    "artifact.text.json_text",
    "artifact.photos.kinds",
    "artifact.photos.metadata",
    "artifact.saliency",
}
LAMBDA_INNER = {"artifact.photos.foreign_files", "artifact.photos.small_exif"}


def test_the_lambda_function_needs_only_files_that_its_zip_holds():
    needed = {name for path in files_of("web") for name in imported_modules(path)}
    needed = {name for name in needed if not name.startswith("web")}
    assert needed == LAMBDA_MODULES
    inner = {name for module in needed for name in imported_modules(MODULES[module])}
    assert inner == LAMBDA_INNER
    assert not {name for module in inner for name in imported_modules(MODULES[module])}
    rooms = [folder for folder in FOLDERS if folder.startswith("artifact")]
    held = {f"{room}/{name}" for room in rooms for name in FOLDERS[room]}
    assert {f"{name.replace('.', '/')}.py" for name in needed | inner} <= held


def test_no_module_imports_itself_by_a_detour():
    graph = {name: imported_modules(path) - {name} for name, path in MODULES.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


def test_no_room_of_a_package_imports_itself_by_a_detour():
    """A room is a folder of a package. Files beside the rooms may import all: they are left out."""
    graph: dict[str, set[str]] = {}
    for name, path in MODULES.items():
        rooms = {room_of(other) for other in imported_modules(path)}
        graph.setdefault(room_of(name), set()).update(rooms - {room_of(name), ""})
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"a circle of rooms: {' <- '.join(error.args[1])}")


def room_of(module: str) -> str:
    room = module.rpartition(".")[0]
    return room if "." in room else ""


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_have_an_empty_init(package):
    for path in (REPOSITORY / package).rglob("__init__.py"):
        if path == REPOSITORY / "slipway" / "__init__.py":
            continue  # users import slipway.export from there
        assert path.read_text() == "", path


def test_docker_is_no_package():
    assert not (REPOSITORY / "docker" / "__init__.py").exists()


def test_nothing_else_lies_at_the_top():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    found = {line.partition("/")[0] for line in listed.stdout.splitlines()}
    assert found <= TOP_LEVEL


def test_files_stay_small():
    folders = [*PACKAGES, "tests", "docker", "bench"]
    long = {}
    for path in (path for folder in folders for path in files_of(folder)):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MOST_LINES:
            long[str(path.relative_to(REPOSITORY))] = lines
    assert long == {}


def test_lines_fit_beside_each_other():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    long = []
    for name in listed.stdout.split("\0")[:-1]:
        if any(fnmatch.fnmatch(name, pattern) for pattern in LONG_LINES):
            continue
        lines = (REPOSITORY / name).read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            if len(line) > MOST_COLUMNS:
                long.append(f"{name}:{number}: {len(line)} columns")
    assert long == []


def test_functions_fit_on_a_screen():
    long = {}
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MOST_LINES_OF_A_FUNCTION:
                    long[f"{name}.{node.name}"] = lines
    assert long == {}


def test_every_module_says_what_it_does():
    for name, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        assert not text or ast.get_docstring(ast.parse(text)), name


def test_the_readme_names_make_targets_that_exist():
    assert set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", README, re.M)) <= TARGETS
    done = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {line.split()[0] for line in done.stdout.splitlines()} == TARGETS


def test_the_environment_variables_that_are_read_are_listed():
    # conformance sets the platform's variables for the images under test; it reads none.
    left_out = ("conformance", "artifact.host.environment")
    paths = [path for name, path in MODULES.items() if not name.startswith(left_out)]
    code = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    read = set(re.findall(r'"((?:SLIPWAY|SAGEMAKER)_[A-Z0-9_]+)"', code))
    read -= {"SAGEMAKER_ADMIN_CONFIG_OVERRIDE"}  # the SDKs read it, of what we export
    listed = {name for variables in VARIABLES.values() for name in variables}
    assert read == {name for name in listed if name.startswith(("SLIPWAY", "SAGEMAKER"))}


@pytest.mark.parametrize("page", ["ARCHITECTURE", "CONTRIBUTING"])
def test_what_a_page_names_is_there(page):
    """Files in backticks, make targets, and links."""
    text = {"ARCHITECTURE": ARCHITECTURE, "CONTRIBUTING": CONTRIBUTING}[page]
    paths = re.findall(r"`([a-z_.]+/[A-Za-z_0-9./-]*)`", text)
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert paths or links
    for name in [*paths, *links]:
        assert (REPOSITORY / name).exists(), name
    assert set(re.findall(r"`make ([a-z0-9-]+)", text)) <= TARGETS


def test_the_architecture_says_what_each_package_may_import():
    rows = dict(re.findall(r"^\| `([a-z_]+)/` \| .* \| (.*) \|$", ARCHITECTURE, re.M))
    assert set(rows) == set(PACKAGES)
    for package, cell in rows.items():
        assert set(re.findall(r"`([a-z_]+)`", cell)) == ARROWS[package], package
