"""The documentation, built once by Zensical from a copy of its sources."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.jobs import REPOSITORY

ZENSICAL = Path(f"{sys.prefix}-docs") / "bin" / "zensical"  # `make docs` makes the environment


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the built pages."""
    if not ZENSICAL.exists():
        pytest.skip(f"'{ZENSICAL}' is missing; `make docs` makes it")
    folder = tmp_path_factory.mktemp("docs")
    shutil.copy(REPOSITORY / "mkdocs.yml", folder)
    shutil.copytree(REPOSITORY / "docs", folder / "docs")
    subprocess.run([ZENSICAL, "build", "--strict"], cwd=folder, capture_output=True, check=True)
    return folder / "out" / "docs"
