"""Every module that a user may start answers --help."""

import re
import subprocess
import sys

import pytest

from tests.support.jobs import REPOSITORY

# Programs that only other programs start, with words of their own
INNER = {
    "artifact.engines.quantization",
    "conformance.sandbox",
    "local_sagemaker.tuning.trial",
    "runtime.reaper",
    "tune.worker",
}


def programs() -> list[str]:
    """The modules of all packages that run as a program."""
    found = []
    for path in sorted(REPOSITORY.glob("*/**/*.py")):
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        package = REPOSITORY / parts[0]
        if parts[0] in ("tests", "bench") or not (package / "__init__.py").exists():
            continue
        if re.search(r"^if __name__ == \"__main__\":", path.read_text(encoding="utf-8"), re.M):
            found.append(".".join(parts).removesuffix(".__main__"))
    return [name for name in found if name not in INNER]


def test_there_are_programs():
    assert {"prepare", "serve", "serve.mms", "local_test", "slipway", "launch"} <= set(programs())


@pytest.mark.slow
@pytest.mark.parametrize("module", programs())
def test_it_answers_help(module):
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower() or "has moved" in done.stdout
    assert done.stderr == ""
