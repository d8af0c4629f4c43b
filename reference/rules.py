"""The page of rules: SageMaker Debugger's, over tensors and over profiles.

It reads the rules' classes as text: importing them would load smdebug.
"""

import ast
import dataclasses
import functools
import inspect

from diagnose.profiler_rules import RULES, SAGEMAKER
from diagnose.registry import MODULES, ONLY_WHEN_NAMED
from reference.markdown import code, paragraphs, prose, shown, table
from runtime.processes import REPOSITORY


def rules() -> str:
    """Each rule with its parameters, what it needs and what to try."""
    parts = [
        "# Rules",
        "`slipway diagnose` evaluates them. Names and parameters are those of SageMaker Debugger's "
        "built-in rules, and so are most defaults. Where SageMaker's default is another, or its "
        "rule has no such parameter, its column says what acts as SageMaker's rule does. "
        "`--defaults sagemaker` takes that column for all rules, "
        "`--parameters RULE.defaults=sagemaker` for one.",
        "## Rules over saved tensors",
        "Each rule also takes `start_step` and `end_step`. They count all forward passes. "
        "`end_step` is the first step that is left out. "
        f"{' and '.join(code(name) for name in ONLY_WHEN_NAMED)} run only when they are named.",
        *[_tensor_rule(name) for name in MODULES],
        "## Rules over a profile",
        *[_profiler_rule(name) for name in RULES],
    ]
    return "\n\n".join(parts) + "\n"


def _tensor_rule(name: str) -> str:
    """A rule from the text of its module."""
    path = REPOSITORY / "diagnose" / f"{MODULES[name]}.py"
    body = ast.parse(path.read_text(encoding="utf-8")).body
    found = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == name)
    words = _texts(found.body, _shared_texts())
    described = inspect.cleandoc(ast.get_docstring(found) or "")
    parts = [f"### `{name}`", paragraphs(described)]
    if "needs" in words:
        parts.append(f"**Needs:** {prose(words['needs'])}.")
    rows = _keywords(found, _sagemaker(found.body))
    if rows:
        parts.append(table(("parameter", "default", "SageMaker's"), rows))
    parts.append(f"**What to try:** {prose(words['advice'])}.")
    return "\n\n".join(parts)


def _texts(body: list[ast.stmt], shared: dict[str, str]) -> dict[str, str]:
    """The texts that a module or a class gives names to, without their full stops.

    shared: texts of modules, which a class may use by their names.
    """
    found: dict[str, str] = {}
    for node in body:
        if not isinstance(node, ast.Assign):
            continue
        name = ast.unparse(node.targets[0])
        if isinstance(node.value, ast.Name) and node.value.id in shared:
            found[name] = shared[node.value.id]
        elif isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found[name] = node.value.value.rstrip(".")
    return found


@functools.cache
def _shared_texts() -> dict[str, str]:
    """The texts of the modules of `diagnose`, by their names."""
    found: dict[str, str] = {}
    for path in sorted((REPOSITORY / "diagnose").glob("*.py")):
        found |= _texts(ast.parse(path.read_text(encoding="utf-8")).body, {})
    return found


def _sagemaker(body: list[ast.stmt]) -> dict[str, str]:
    """SageMaker's defaults, as the code writes them, where they are others."""
    for node in body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "sagemaker":
            assert isinstance(node.value, ast.Dict)
            names = [ast.literal_eval(key) for key in node.value.keys if key is not None]
            values = [code(ast.unparse(value)) for value in node.value.values]
            return dict(zip(names, values, strict=True))
    return {}


def _keywords(rule: ast.ClassDef, others: dict[str, str]) -> list[tuple[str, str, str]]:
    """The keywords of the rule's __init__ with their defaults, as the code writes them.

    others: SageMaker's defaults, where they are others.
    """
    for node in rule.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            return [
                (code(entry.arg), _default(value), others.get(entry.arg, ""))
                for entry, value in pairs
            ]
    return []


def _default(value: ast.expr | None) -> str:
    if value is None:
        return "must be given"
    return code(ast.unparse(value)) if ast.unparse(value) != "None" else ""


def _profiler_rule(name: str) -> str:
    rule = RULES[name]
    others = SAGEMAKER.get(name, {})
    rows = [
        (code(entry.name), shown(getattr(rule.defaults, entry.name)), _other(others, entry.name))
        for entry in dataclasses.fields(rule.defaults)
    ]
    parts = [f"### `{name}`", prose(rule.description)]
    if rows:
        parts.append(table(("parameter", "default", "SageMaker's"), rows))
    parts.append(f"**What to try:** {prose(rule.advice)}")
    return "\n\n".join(parts)


def _other(values: dict[str, object], name: str) -> str:
    return shown(values[name]) if name in values else ""
