"""optuna-dashboard opens a search's study.log as it is."""

import json
import os
import subprocess
import sys
import time
import urllib.request

import pytest

from runtime.ports import free_port
from tests.support.environments_made import not_made
from tests.tune.test_lost_study import half_done
from tune.storage import STUDY_FILE

DASHBOARD = ("optuna-dashboard==0.21.0", "bottle==0.13.4")  # MIT; from PyPI, for this test alone
INSTALL_S = 300
START_S = 120


def asked(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: dict = json.load(answer)
    return found


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=10).close()
    except OSError:
        return False
    return True


@pytest.mark.verify
def test_optuna_dashboard_shows_the_trials_of_a_search(tmp_path):
    where = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    command += ["--target", str(where), *DASHBOARD]
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    if done.returncode:
        not_made("optuna-dashboard", done.stdout + done.stderr)
    half_done(tmp_path, {})
    port = free_port()
    program = "from optuna_dashboard._cli import main; main()"
    words = [sys.executable, "-c", program, str(tmp_path / STUDY_FILE), "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(where)}
    dashboard = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_S
        while not answers(f"http://127.0.0.1:{port}/"):
            assert dashboard.poll() is None, "it ended"
            assert time.monotonic() < deadline
            time.sleep(0.1)
        [study] = asked(f"http://127.0.0.1:{port}/api/studies")["study_summaries"]
        assert study["study_name"] == "job-0"
        trials = asked(f"http://127.0.0.1:{port}/api/studies/{study['study_id']}")["trials"]
        assert [trial["state"] for trial in trials][:2] == ["Complete", "Fail"]
        assert [value["value"] for value in trials[0]["intermediate_values"]] == [0.25, 0.5]
    finally:
        dashboard.kill()
        dashboard.wait()
