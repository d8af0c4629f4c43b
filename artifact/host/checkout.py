"""Which commit of Slipway runs."""

import functools
import os
import subprocess
from pathlib import Path

VARIABLE = "SLIPWAY_GIT_COMMIT"  # our images set it
TIMEOUT_S = 10.0  # for git, which may lie on a disk that does not answer


@functools.cache
def commit() -> str:
    """Such as `c5e3475c048b`, with `-dirty` where files are changed; "" where nothing says it."""
    given = os.environ.get(VARIABLE, "")
    if given:
        return given
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    checkout = Path(__file__).resolve().parents[2]
    # an archive of the code may be unpacked within another project, whose commit is not ours
    own = {**os.environ, "GIT_CEILING_DIRECTORIES": str(checkout.parent)}
    try:
        done = subprocess.run(
            command,
            cwd=checkout,
            env=own,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):  # no git here, or one that hangs
        return ""
    return done.stdout.strip()
