"""axe-core in a real Chromium: what on a page people with other eyes, hands or screens miss."""

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support.browser import Browser

AXE = "axe-core@4.14.1"  # MPL-2.0; from npm, for tests alone
# of its package, as the lock files of npm have it
SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
FETCH_S = 120
WIDTHS = (1280, 390)  # pixels: a desk's screen and a phone's


def axe_source(folder: Path) -> str:
    """axe-core's program, from npm. The test is skipped where npm does not give it."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm is installed (Debian: apt-get install npm), so axe-core is not run")
    command = [npm, "pack", AXE, "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_S, check=False)
    packed = list(folder.glob("axe-core-*.tgz"))
    if done.returncode or not packed:
        pytest.skip(f"npm gives no axe-core: {done.stderr[-200:]}")
    digest = hashlib.sha512(packed[0].read_bytes()).digest()
    assert base64.b64encode(digest).decode() == SHA512
    with tarfile.open(packed[0]) as opened:
        program = opened.extractfile("package/axe.min.js")
        assert program is not None, "axe-core holds its program"
        return program.read().decode()


def violations(browser: Browser, axe: str, url: str, width: int, dark: bool = False) -> list[str]:
    """Each rule that the page breaks in a window of that width, with the first element."""
    browser.open(url, width=width, dark=dark)
    browser.run(f"{axe};0")
    found = browser.run("axe.run(document).then(result => JSON.stringify(result.violations))")
    rules = json.loads(str(found))
    return [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in rules]
