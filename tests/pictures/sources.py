"""What each picture of docs/pictures is made from, so that a test finds one that is out of date."""

import ast
import hashlib
import json
from pathlib import Path

import yaml

from tests.support.jobs import REPOSITORY

PICTURES = REPOSITORY / "docs" / "pictures"
RECORD = Path(__file__).with_name("sources.json")
HYPERPARAMETERS = "recipes/demo.yaml::hyperparameters"
# By picture: files, `file.py::function` or `file.yaml::section`.
SOURCES = {
    "photos.png": ("prepare/report.html.j2", "local_test/figure.py"),
    "report.png": (
        "train/result/training_report.html.j2",
        "train/result/training_report.css",
        "train/result/report_matrix.html.j2",
        "train/result/report_mistakes.html.j2",
        "train/result/report_trust.html.j2",
        "train/result/report_head.html.j2",
        HYPERPARAMETERS,
    ),
    "findings.png": ("diagnose/findings.html.j2", "artifact/pages/line_chart.html.j2"),
    "console.png": (
        "local_sagemaker/console/console.html.j2",
        "local_sagemaker/console/one.html.j2",
        HYPERPARAMETERS,
    ),
    "page.png": ("web/page.html", HYPERPARAMETERS),
    "terminal.png": (
        "tests/pictures/terminal.html.j2",
        "local_test/demo.py::_show",
        HYPERPARAMETERS,
    ),
}


def digests() -> dict[str, dict[str, str]]:
    """By picture and source: the source's hash now."""
    return {
        picture: {source: _digest(content(source)) for source in sources}
        for picture, sources in SOURCES.items()
    }


def record() -> None:
    """Write the hashes down: the pictures have just been made."""
    RECORD.write_text(json.dumps(digests(), indent=2) + "\n", encoding="utf-8")


def recorded() -> dict[str, dict[str, str]]:
    """The hashes of the sources when the pictures were made."""
    found: dict[str, dict[str, str]] = json.loads(RECORD.read_text(encoding="utf-8"))
    return found


def content(source: str) -> str:
    """The text of a source. KeyError where a file lacks the function or section."""
    name, _, part = source.partition("::")
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    if not part:
        return text
    if name.endswith(".yaml"):
        return yaml.safe_dump(yaml.safe_load(text)[part])
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == part:
            return ast.unparse(node)
    raise KeyError(source)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
