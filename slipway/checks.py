"""What `slipway doctor` looks at. Nothing is changed, and no network is asked."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from artifact.host.machine import cpu_count, memory_limit
from artifact.text.names import shell_word
from recipes.command_line import RECIPE, recipe_here
from recipes.errors import RecipeError
from runtime import docker, engine_facts
from runtime.errors import RunError
from runtime.processes import REPOSITORY
from slipway.project import photos_of, project_recipe

OK = "ok"
NOTE = "note"
MISSING = "missing"
GIB = 2**30
# The images and their layers, or the environment with torch; each with room to work
LEAST_DISK_GIB = 15
LEAST_MEMORY_GIB = 2
IMAGES = ("slipway-train", "slipway-serve")
# Packages that stand for what `make environment` installs: training, serving, searching
PACKAGES = ("torch", "openvino", "gunicorn", "optuna")
# Where boto3 finds credentials without asking a network
AWS_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


@dataclass(frozen=True)
class Check:
    """state: ok, note or missing. found: what is there. mend: the command that fixes it."""

    name: str
    state: str
    found: str
    mend: str = ""


def all_checks() -> list[Check]:
    """Every check, in the order in which they are shown."""
    engine = container_engine()
    return [
        python(),
        git(),
        engine,
        packages(engine.state == OK),
        images(engine.state == OK),
        disk(),
        memory(),
        gpu(engine.state == OK),
        aws(),
        project(),
    ]


def here(linux: str, macos: str) -> str:
    """The command of this system; Debian's or Ubuntu's stands for all of Linux."""
    return macos if sys.platform == "darwin" else linux


def python() -> Check:
    words = f"Python {sys.version.split()[0]}, {sys.prefix}"
    return Check("python", OK, words)


def git() -> Check:
    """Whether git is there, and knows the checkout's commit."""
    if not shutil.which("git"):
        mend = here("sudo apt-get install git", "xcode-select --install")
        return Check("git", NOTE, "missing; images cannot be pushed without it", mend)
    command = [str(REPOSITORY / "docker" / "changes.sh"), "--why"]
    why = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    if why:
        found, _, mend = why.partition("type: ")
        found = found.removesuffix(" or ").rstrip(",; ")
        return Check("git", NOTE, f"images cannot be pushed: {found}", mend)
    return Check("git", OK, "found; images are tagged by commit")


def container_engine() -> Check:
    """Docker or Podman, and whether this user may ask it."""
    facts = engine_facts.facts()
    if facts.answers:
        return Check("docker", OK, facts.found)
    found = f"{facts.found}; trainings run as processes, images cannot be built"
    return Check("docker", NOTE, found, facts.mend)


def packages(has_engine: bool) -> Check:
    """The environment's large packages, which containers make needless for most commands."""
    lacking = [name for name in PACKAGES if find_spec(name) is None]
    if not lacking:
        return Check("environment", OK, "everything that runs without containers")
    found = f"without {', '.join(lacking)}"
    mend = f"make -C {shell_word(REPOSITORY)} environment"
    if has_engine:
        return Check("environment", NOTE, f"{found}: tune and diagnose need them", mend)
    return Check("environment", MISSING, found, mend)


def images(has_engine: bool) -> Check:
    if not has_engine:
        return Check("images", NOTE, "none without a container engine")
    lacking = [name for name in IMAGES if not docker.image_exists(docker.own_image(name))]
    if not lacking:
        return Check("images", OK, ", ".join(IMAGES))
    found = f"without {', '.join(lacking)}; the first command that needs one builds it"
    return Check(
        "images", NOTE, found, f"make -C {shell_word(REPOSITORY)} images IMAGES='train serve'"
    )


def disk() -> Check:
    """Free disk where the environment lies; an engine may keep its images elsewhere."""
    free = shutil.disk_usage(REPOSITORY).free / GIB
    found = f"{free:.0f} GiB free at '{REPOSITORY}'"
    if free >= LEAST_DISK_GIB:
        return Check("disk", OK, found)
    found += f"; images or environment need {LEAST_DISK_GIB}"
    return Check("disk", NOTE, found, "docker system df")


def memory() -> Check:
    limit = memory_limit() / GIB
    found = f"{limit:.1f} GiB of memory, {cpu_count()} cores"
    if limit >= LEAST_MEMORY_GIB:
        return Check("memory", OK, found)
    return Check("memory", NOTE, f"{found}; lower batch_size or image_size when it runs out")


def gpu(has_engine: bool) -> Check:
    """A GPU of NVIDIA's, and whether containers get it."""
    try:
        asked = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return Check("gpu", OK, "none; trainings take the processor")
    names = ", ".join(asked.stdout.split("\n")).strip(", ")
    if asked.returncode or not names:
        return Check("gpu", NOTE, "nvidia-smi finds none", "nvidia-smi")
    if has_engine and not docker.all_gpus():
        found = f"{names}, but containers do not get it"
        mend = "sudo nvidia-ctk runtime configure --runtime=docker"
        if engine_facts.facts().podman:
            mend = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
        return Check("gpu", NOTE, found, mend)
    return Check("gpu", OK, names)


def aws() -> Check:
    """Whether credentials are there. What they may do, `slipway check` asks."""
    home = Path.home() / ".aws"
    files = [home / "credentials", home / "config"]
    if any(os.environ.get(name) for name in AWS_VARIABLES) or any(map(Path.is_file, files)):
        return Check("aws", OK, "credentials are set; `slipway check` asks what they may do")
    return Check("aws", NOTE, "no credentials; only AWS's commands need them", "aws configure")


def project() -> Check:
    """The recipe of the current folder, and its photos."""
    if not recipe_here():
        found = f"no {RECIPE} in this folder"
        return Check("project", NOTE, found, "slipway init NAME")
    try:
        recipe = project_recipe()
        photos = photos_of(recipe)
    except (RecipeError, RunError) as error:
        return Check("project", MISSING, str(error))
    return Check("project", OK, f"'{recipe.name}', photos in '{photos}'")
