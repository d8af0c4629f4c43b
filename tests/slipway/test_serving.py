"""slipway serve and web: how a container and a process are started."""

import re
from pathlib import Path

import pytest

from runtime import docker
from runtime.errors import RunError
from slipway.serving import as_process, bring_hooks, in_docker, parsed


def test_a_container_has_the_model_read_only_and_its_port(tmp_path):
    options = parsed("serve", "", ["--port", "8765"])
    words = in_docker(options, tmp_path, samples=None, hooks={})
    assert words[-2:] == [docker.own_image("slipway-serve"), "serve"]
    assert "--publish=127.0.0.1:8765:8080" in words
    assert docker.mount(tmp_path, "/opt/ml/model") in words
    assert not any("SLIPWAY_PAGE" in word for word in words)


def test_the_page_has_the_validation_photos(tmp_path):
    options = parsed("web", "", [])
    words = in_docker(options, tmp_path, samples=tmp_path, hooks={"SLIPWAY_HOOKS": "1"})
    assert "--env=SLIPWAY_HOOKS=1" in words
    assert docker.mount(tmp_path, "/samples") in words
    assert {"--env=SLIPWAY_PAGE=1", "--env=SLIPWAY_SAMPLES=/samples"} <= set(words)
    environment = as_process(options, Path("/m"), samples=tmp_path)
    assert environment["SLIPWAY_SAMPLES"] == str(tmp_path)
    assert environment["SLIPWAY_PAGE"] == "1"
    without = in_docker(options, tmp_path, samples=tmp_path / "nothing", hooks={})
    assert not any("samples" in word.lower() for word in without)


def test_a_process_has_its_own_port_and_address():
    options = parsed("serve", "", ["--port", "8765", "--host", "0.0.0.0"])
    environment = as_process(options, Path("/m"), samples=None)
    assert environment["SLIPWAY_MODEL_DIR"] == "/m"
    assert environment["SAGEMAKER_BIND_TO_PORT"] == "8765"
    assert environment["SLIPWAY_HOST"] == "0.0.0.0"


def test_hosts_are_published_by_their_addresses(tmp_path):
    """Engines know no names, and read the colons of IPv6 as their own."""
    for host, address in {"localhost": r"(127\.0\.0\.1|\[::1\])", "::1": r"\[::1\]"}.items():
        options = parsed("serve", "", ["--port", "8765", "--host", host])
        words = in_docker(options, tmp_path, samples=None, hooks={})
        [word] = [word for word in words if word.startswith("--publish")]
        assert re.fullmatch(rf"--publish={address}:8765:8080", word)


def test_a_project_with_hooks_serves_with_its_own_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "model"
    (model / "code").mkdir(parents=True)
    (model / "code/old.py").touch()
    assert bring_hooks(model) == {}
    Path("recipe.yaml").write_text("name: mine\nsagemaker: {endpoint: {hooks: true}}\n")
    with pytest.raises(RunError, match="there is no code/hooks.py; write it"):
        bring_hooks(model)
    Path("code").mkdir()
    Path("code/hooks.py").write_text("x = 1")
    assert bring_hooks(model) == {"SLIPWAY_HOOKS": "1"}
    assert [path.name for path in (model / "code").iterdir()] == ["hooks.py"]
