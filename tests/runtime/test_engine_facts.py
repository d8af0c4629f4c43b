"""Which container engine is taken, what it is, and how it is then called."""

import csv
import os
import subprocess
from pathlib import Path

import pytest

from runtime import docker
from runtime.container_engine import choose_container_engine
from runtime.engine_facts import facts
from runtime.errors import RunError
from tests.support.fake_engines import DOCKER, PODMAN, only
from tests.support.jobs import REPOSITORY

DENIED = "echo 'permission denied while trying to connect to the Docker daemon' >&2; exit 1"
SILENT = "echo 'Cannot connect to the Docker daemon' >&2; exit 1"


@pytest.fixture
def have(tmp_path, monkeypatch):
    """Gives this process these engines only."""
    return lambda **programs: only(tmp_path / "bin", monkeypatch, **programs)


@pytest.mark.parametrize(
    "programs, wanted, chosen",
    [
        ({"docker": DOCKER, "podman": PODMAN}, "", "docker"),
        ({"docker": DOCKER, "podman": PODMAN}, "podman", "podman"),
        ({"docker": DOCKER, "podman": PODMAN}, "process", "process"),
        ({"podman": PODMAN}, "", "podman"),
        ({"docker": SILENT, "podman": PODMAN}, "", "podman"),
        ({"docker": PODMAN}, "", "docker"),
        ({}, "", "process"),
    ],
)
def test_the_wanted_engine_or_the_first_that_answers(have, programs, wanted, chosen, capfd):
    have(**programs)
    assert choose_container_engine(wanted) == chosen
    assert (os.environ["ENGINE"] or "process") == chosen  # for this process and its children
    assert capfd.readouterr().err == ""


def test_the_variable_holds_where_nothing_is_wanted(have, monkeypatch):
    have(docker=DOCKER, podman=PODMAN)
    monkeypatch.setenv("ENGINE", "podman")
    assert choose_container_engine("") == "podman"
    assert facts().program == "podman"
    assert choose_container_engine("docker") == "docker"
    assert facts().program == "docker"


@pytest.mark.parametrize(
    "shown, address",
    [
        ("172.17.0.1 172.17.0.0/16 ", "172.17.0.1"),
        # as Docker answers until its second start
        (" 172.17.0.0/16 ", "172.17.0.1"),
        (" 10.9.8.7/24 ", "10.9.8.7"),
        (" fd00::/80 ", "fd00::1"),
        ("", ""),
    ],
)
def test_containers_reach_this_machine_at_the_gateway(have, shown, address):
    have(docker=DOCKER.replace("esac", f"*inspect\\ bridge*) echo '{shown}' ;;\nesac"))
    assert docker.gateway() == address


def test_one_sentence_when_only_the_group_is_missing(have, capfd):
    have(docker=DENIED)
    assert choose_container_engine("") == "process"
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "this user may not ask it" in said
    assert 'sudo usermod -aG docker "$USER"; newgrp docker' in said
    assert "plain processes, which need 5 GB" in said


@pytest.mark.parametrize(
    "programs, wanted, said",
    [
        (
            {},
            "docker",
            "ENGINE=docker, but there is no docker; type: sudo apt-get install docker.io",
        ),
        ({}, "podman", "ENGINE=podman, but there is no podman; type: sudo apt-get install podman"),
        ({"docker": SILENT}, "docker", "no engine answers; type: sudo systemctl start docker"),
        ({"docker": DENIED}, "docker", "may not ask it; type: sudo usermod"),
        ({}, "dokcer", "ENGINE must be docker, podman or process, found 'dokcer'"),
    ],
)
def test_a_wanted_engine_that_does_not_answer(have, programs, wanted, said):
    have(**programs)
    with pytest.raises(RunError, match=said):
        choose_container_engine(wanted)


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_podman_under_both_names(have, name):
    folder = have(**{name: PODMAN})
    assert (facts().podman, facts().rootless, docker.all_gpus()) == (True, True, [])
    command = docker.run_command("image", ["train"], "name", [])
    assert command[:2] == [name, "run"]
    assert "--security-opt=label=disable" in command
    assert "--user" not in command  # the container's root is the user
    (folder / "cdi").mkdir()
    (folder / "cdi/nvidia.yaml").write_text("kind: nvidia.com/gpu\n")
    printed = subprocess.run(
        [REPOSITORY / "docker/engine.sh", "--facts"], capture_output=True, text=True, check=True
    ).stdout
    assert "gpus=--device=nvidia.com/gpu=all\n" in printed
    assert docker.one_gpu(1) == ["--device=nvidia.com/gpu=1"]


def test_docker_with_a_gpu(have, monkeypatch):
    have(docker=DOCKER)
    assert (facts().podman, facts().rootless) == (False, False)
    assert docker.all_gpus() == ["--gpus=all"]
    assert docker.one_gpu(1) == ["--gpus", "device=1"]
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert docker.identity()[0] == "--user"


def test_rootless_docker_runs_as_root(have, monkeypatch):
    have(docker=DOCKER.replace("name=seccomp,profile=default", "name=rootless"))
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert docker.identity() == []


@pytest.mark.parametrize("name", ["plain", "a:b", "a,b", 'a "b", c', "ä ö"])
def test_any_path_can_be_mounted(name):
    option = docker.mount(Path("/x") / name, "/opt/ml")
    (fields,) = csv.reader([option.removeprefix("--mount=")], strict=True)
    assert fields == ["type=bind", f"src=/x/{name}", "dst=/opt/ml", "readonly"]
    assert not docker.mount(Path("/x"), "/opt/ml", writable=True).endswith("readonly")
    script = f'source "{REPOSITORY}/docker/engine.sh"; mount_option "$0" /opt/ml ,readonly'
    by_shell = subprocess.run(
        ["bash", "-c", script, f"/x/{name}"], capture_output=True, text=True, check=True
    )
    assert by_shell.stdout.rstrip("\n") == option


def test_each_checkout_has_a_tag_of_its_own(tmp_path):
    tags = set()
    for name in ("one", "two"):
        (tmp_path / name / "docker").mkdir(parents=True)
        program = tmp_path / name / "docker/engine.sh"
        program.write_bytes((REPOSITORY / "docker/engine.sh").read_bytes())
        printed = subprocess.run(
            ["bash", program, "--facts"], capture_output=True, text=True, check=True
        ).stdout
        tags.add(printed.splitlines()[-1])
    assert len(tags) == 2
    assert all(tag.startswith("checkout=checkout-") for tag in tags)


@pytest.mark.parametrize(
    "variables, image",
    [
        ({}, "slipway-serve:{mine}-arm64"),
        ({"ARCH": "engine"}, "slipway-serve:{mine}-arm64"),
        ({"ARCH": "amd64"}, "slipway-serve:{mine}"),
        ({"LACKS": "-arm64"}, "slipway-serve:{mine}"),
        ({"LACKS": "slipway"}, "slipway-serve"),
    ],
)
def test_an_engine_on_arm_runs_the_build_for_arm(have, monkeypatch, variables, image):
    """As Docker Desktop on one of Apple's processors."""
    lacks = 'case "$*" in "image inspect"*${LACKS:-nothing}) exit 1 ;; esac\n'
    if variables.get("LACKS") == "slipway":
        lacks = lacks.replace("${LACKS:-nothing}", "*")
    have(docker=lacks + DOCKER.replace("echo amd64", "echo arm64"))
    monkeypatch.delenv("ARCH", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert facts().architecture == "arm64"
    assert docker.own_image("slipway-serve") == image.format(mine=facts().checkout)


@pytest.mark.parametrize("wanted, builds", [("podman", True), ("docker", True), ("process", False)])
def test_make_takes_each_engine(wanted, builds):
    """What it would run; nothing is run."""
    command = ["make", "--dry-run", f"ENGINE={wanted}", "demo"]
    shown = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert f"--engine '{wanted}'" in shown.stdout
    assert ("docker/build.sh train serve" in shown.stdout) == builds


def test_a_shells_default_platform_is_not_handed_on(have, monkeypatch):
    """Apple's and Arm's developers set it, and an engine then looks for other images."""
    have(docker='echo "${DOCKER_DEFAULT_PLATFORM-none}"')
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64")
    assert docker.output("run", "x") == "none\n"
