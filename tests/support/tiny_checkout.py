"""A git checkout whose only image is tiny, for tests of docker/build.sh and build_and_push.sh."""

import shutil
import subprocess
from pathlib import Path

from tests.support.jobs import REPOSITORY

IMAGE = "slipway-tiny"


def tiny_checkout(root: Path) -> Path:
    """The checkout's folder, with everything committed."""
    (root / "docker").mkdir(parents=True)
    names = ("build", "changes", "cuda", "engine", "in_time", "steps")
    scripts = [f"docker/{name}.sh" for name in names]
    for name in ("build_and_push.sh", *scripts, ".gitignore"):
        shutil.copy(REPOSITORY / name, root / name)
    for package in ("launch", "artifact"):
        # build_and_push.sh runs `python -m launch.ecr` from its own folder.
        (root / package).symlink_to(REPOSITORY / package)
    shutil.copytree(REPOSITORY / "recipes", root / "recipes")
    (root / "docker/tiny.Dockerfile").write_text(
        "FROM scratch\nARG BASE_IMAGE\nARG GIT_COMMIT\nARG VERSION\nCOPY hello /\n"
    )
    (root / "hello").write_text("hello\n")
    (root / ".dockerignore").write_text("*\n!hello\n!docker\n")
    git(root, "init", "-q")
    commit(root)
    return root


def git(root: Path, *words: str) -> str:
    # A machine that runs the tests may have no git identity.
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    return subprocess.run(
        ["git", *who, *words], cwd=root, capture_output=True, text=True, check=True
    ).stdout.strip()


def commit(root: Path) -> str:
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "all")
    return git(root, "rev-parse", "--short=12", "HEAD")
