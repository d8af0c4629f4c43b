"""The reader's machine: the clone comes from this checkout, and its environment by a link."""

import subprocess
import sys

from tests.blocks.world import address, make_world


def test_the_clone_is_this_checkout_with_an_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("ENGINE", "process")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of the user")
    world = make_world(tmp_path)
    assert "AWS_ACCESS_KEY_ID" not in world.environment
    assert not world.has_engine
    command = ["git", "clone", "--quiet", address()]
    subprocess.run(command, cwd=world.folder, env=world.environment, check=True)
    assert (world.checkout / "bin/slipway").is_file()
    assert (world.checkout / ".venv/bin").samefile(f"{sys.prefix}/bin")
    # `make` finds it up to date, so that it installs nothing.
    made = subprocess.run(
        ["make", "environment"],
        cwd=world.checkout,
        env=world.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "environment:" not in made.stdout + made.stderr
