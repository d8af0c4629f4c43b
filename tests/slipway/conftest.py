"""The program bin/slipway, linked from a folder that is on PATH."""

from pathlib import Path

import pytest

from tests.support.own_checkout import make_checkout


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A link to a relative link to the program, below folders with blanks and other letters."""
    root = tmp_path_factory.mktemp("für dich")
    checkout = make_checkout(root / "a check-out")
    (root / "links").mkdir()
    (root / "links/own").symlink_to("../a check-out/bin/slipway")
    (root / "on path").mkdir()
    link = root / "on path/slipway"
    link.symlink_to(root / "links/own")
    assert checkout.is_dir()
    return link
