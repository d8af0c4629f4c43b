"""Which commit runs, where the code is no clone."""

import importlib.util
import os
import shutil
import subprocess

from artifact.host import checkout


def test_a_git_that_hangs_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.delenv(checkout.VARIABLE, raising=False)
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(checkout, "TIMEOUT_S", 0.2)
    assert checkout.commit.__wrapped__() == ""


def test_the_commit_of_a_project_around_the_code_is_not_ours(tmp_path, monkeypatch):
    monkeypatch.delenv(checkout.VARIABLE, raising=False)
    place = tmp_path / "theirs" / "slipway" / "artifact" / "host" / "checkout.py"
    place.parent.mkdir(parents=True)
    shutil.copy(checkout.__file__, place)
    names = ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL")
    who = {f"GIT_{name}": "x" for name in names}
    for words in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "--message", "x"]):
        folder = tmp_path / "theirs"
        subprocess.run(["git", *words], cwd=folder, env={**os.environ, **who}, check=True)
    spec = importlib.util.spec_from_file_location("unpacked", place)
    assert spec and spec.loader
    unpacked = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(unpacked)
    assert unpacked.commit() == ""
