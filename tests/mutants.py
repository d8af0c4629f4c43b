"""python tests/mutants.py [--count 100] [PACKAGE...]: do the tests notice a small wrong change?

cosmic-ray makes mutants: one operator, number or keyword of the code is changed. A random sample of
them runs against the tests of its package. A mutant is killed when a test fails, or when they take
three times as long as without it. The survivors are printed as diffs, for a person to read.
`make mutants` runs it, in an environment of its own with docker/requirements-mutants.txt.
"""

import argparse
import ast
import difflib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = ("prepare", "train", "artifact", "serve", "launch", "tune")
# Left out: changes of definitions, which nearly always end at import, and changes of nothing.
SKIPPED_OPERATORS = ("RemoveDecorator", "VariableReplacer", "VariableInserter", "no-op")
DOTTED = re.compile(r"\w*\.")
BASELINE_LIMIT_S = 1800.0  # of a package's tests without a mutant
SLOWER = 3.0  # a mutant's tests may take so many times as long as without it
START_S = 60.0  # and this much more: a busy machine is not a killed mutant
GOAL = 0.85  # share of mutants that the tests kill
SELECTED = "not docker and not verify"


@dataclass(frozen=True)
class Mutant:
    """One change: the operator's occurrence number in a file, and the place where it starts."""

    path: str
    operator: str
    occurrence: int
    start: tuple[int, int]  # line from 1, column from 0


@dataclass(frozen=True)
class Outcome:
    """What the tests made of a mutant; by: the first test that failed, "" for a survivor."""

    mutant: Mutant
    diff: str
    by: str


def mutants_of(path: str) -> Iterator[Mutant]:
    """All mutants of a file of the repository."""
    source = (REPOSITORY / path).read_text(encoding="utf-8")
    annotated = annotated_spans(source)
    lines = source.splitlines()
    tree = get_ast(source)
    for name in operator_names():
        if any(skipped in name for skipped in SKIPPED_OPERATORS):
            continue
        operator = get_operator(name)()
        occurrence = 0
        for node in ast_nodes(tree):
            for start, _ in operator.mutation_positions(node):
                # cosmic-ray cannot replace the dotted name of an exception: it ends in an error
                is_dotted = DOTTED.match(lines[start[0] - 1], start[1]) is not None
                skipped = is_dotted and "Exception" in name
                if not skipped and not any(first <= start <= last for first, last in annotated):
                    yield Mutant(path, name, occurrence, start)
                occurrence += 1


def annotated_spans(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where annotations start and end, as (line from 1, column from 0)."""
    found: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(node.returns)
        elif isinstance(node, ast.arg | ast.AnnAssign):
            found.append(node.annotation)
    spans = []
    for annotation in found:
        if annotation is not None:
            first = (annotation.lineno, annotation.col_offset)
            last = (annotation.end_lineno or first[0], annotation.end_col_offset or 0)
            spans.append((first, last))
    return spans


def sample(packages: list[str], count: int, seed: int) -> list[Mutant]:
    """`count` mutants, each at a place of its own.

    The places are drawn first, and then one mutant per place: an arithmetic operator has eleven
    mutants, a number two, and the sample should not consist of arithmetic.
    """
    paths = [
        str(path.relative_to(REPOSITORY))
        for package in packages
        for path in sorted((REPOSITORY / package).rglob("*.py"))
    ]
    places: dict[tuple[str, tuple[int, int]], list[Mutant]] = {}
    for path in paths:
        for mutant in mutants_of(path):
            places.setdefault((path, mutant.start), []).append(mutant)
    print(f"mutants: {len(places)} places in {len(paths)} files", flush=True)
    chance = random.Random(seed)
    chosen = chance.sample(sorted(places), min(count, len(places)))
    return [chance.choice(places[place]) for place in chosen]


def package_of(path: str) -> str:
    return path.partition("/")[0]


def tests_for(tree: Path, path: str) -> list[str]:
    """Test files of the module's package, those first that import the module."""
    package = package_of(path)
    module = path.removesuffix(".py").replace("/", ".")
    parent, _, name = module.rpartition(".")
    pattern = re.compile(
        rf"\b{re.escape(module)}\b|from {re.escape(parent)} import [^\n]*\b{re.escape(name)}\b"
    )
    files = sorted((tree / "tests" / package).rglob("test_*.py"))
    near = [file for file in files if pattern.search(file.read_text(encoding="utf-8"))]
    ordered = [*near, *(file for file in files if file not in near)]
    return [str(file.relative_to(tree)) for file in ordered]


def baseline(package: str, tree: Path, python: str) -> float:
    """The time limit of the package's tests, in seconds, from a run without a mutant.

    SystemExit when they fail: each mutant would count as killed.
    """
    started = time.monotonic()
    files = tests_for(tree, f"{package}/__main__.py")
    by = first_failure(tree, files, python, BASELINE_LIMIT_S)
    if by:
        raise SystemExit(f"mutants: without a mutant {package}'s tests fail ({by})")
    took_s = time.monotonic() - started
    print(f"mutants: {package}'s tests pass in {took_s:.0f} s", flush=True)
    return SLOWER * took_s + START_S


def run(mutant: Mutant, tree: Path, python: str, limits: dict[str, float]) -> Outcome:
    """Put the mutant into a copy of the repository, run the tests, and put the file back."""
    file = tree / mutant.path
    source = file.read_text(encoding="utf-8")
    changed = mutate_code(source, get_operator(mutant.operator)(), mutant.occurrence)
    lines = difflib.unified_diff(
        source.splitlines(), (changed or "").splitlines(), mutant.path, mutant.path, "", "", 1, ""
    )
    file.write_text(changed or "", encoding="utf-8")
    try:
        limit_s = limits[package_of(mutant.path)]
        by = first_failure(tree, tests_for(tree, mutant.path), python, limit_s)
    finally:
        file.write_text(source, encoding="utf-8")
    return Outcome(mutant, "\n".join(lines), by)


def first_failure(tree: Path, files: list[str], python: str, limit_s: float) -> str:
    """The first test that fails, or "time" when they take too long; "" when all pass."""
    command = [python, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", SELECTED, *files]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        command,
        cwd=tree,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed = process.communicate(timeout=limit_s)[0]
    except subprocess.TimeoutExpired:
        return "time"
    finally:
        # also the servers that a test left behind
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode == 0:
        return ""
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", printed, re.M)
    return failed[1] if failed else f"exit code {process.returncode}"


def copies(count: int, folder: Path) -> SimpleQueue[Path]:
    """Copies of the committed and changed files, one per process of tests."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    made: SimpleQueue[Path] = SimpleQueue()
    for number in range(count):
        tree = folder / str(number)
        for line in listed.stdout.splitlines():
            target = tree / line
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / line, target)
        subprocess.run(["git", "init", "-q"], cwd=tree, check=True)
        subprocess.run(["git", "add", "--all"], cwd=tree, check=True)
        made.put(tree)
    return made


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/mutants.py", description=__doc__)
    parser.add_argument("packages", nargs="*", default=list(PACKAGES))
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="processes of tests side by side")
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the tests")
    parser.add_argument("--out", type=Path, default=Path("out/mutants.json"))
    return parser.parse_args()


def main() -> int:
    options = parse()
    chosen = sample(options.packages, options.count, options.seed)
    outcomes: list[Outcome] = []
    packages = sorted({package_of(one.path) for one in chosen})
    with tempfile.TemporaryDirectory(prefix="slipway-mutants-") as folder:
        trees = copies(options.workers, Path(folder))

        @contextmanager
        def a_tree() -> Iterator[Path]:
            tree = trees.get()
            try:
                yield tree
            finally:
                trees.put(tree)

        def limit_of(package: str) -> float:
            with a_tree() as tree:
                return baseline(package, tree, options.python)

        def attempt(mutant: Mutant) -> Outcome:
            with a_tree() as tree:
                return run(mutant, tree, options.python, limits)

        with ThreadPoolExecutor(options.workers) as pool:
            limits = dict(zip(packages, pool.map(limit_of, packages), strict=True))
            for outcome in pool.map(attempt, chosen):
                outcomes.append(outcome)
                report(outcome, len(outcomes), len(chosen))
    killed = sum(bool(outcome.by) for outcome in outcomes)
    write(options.out, outcomes)
    print(f"mutants: sampled={len(outcomes)} killed={killed} share={killed / len(outcomes):.2f}")
    return 0 if killed >= GOAL * len(outcomes) else 1


def report(outcome: Outcome, number: int, count: int) -> None:
    mutant = outcome.mutant
    verdict = f"killed by {outcome.by}" if outcome.by else "SURVIVED"
    print(f"mutants: {number}/{count} {mutant.path}:{mutant.start[0]} {mutant.operator}: {verdict}")
    if not outcome.by:
        print(outcome.diff)
    sys.stdout.flush()


def write(path: Path, outcomes: list[Outcome]) -> None:
    rows = [
        {
            "file": one.mutant.path,
            "line": one.mutant.start[0],
            "diff": one.diff,
            "killed_by": one.by,
        }
        for one in outcomes
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
