"""What a build of an image shows: a line per step, its last lines when it fails."""

import os
import re
import signal
import subprocess

import pytest

from tests.support.jobs import REPOSITORY
from tests.support.terminals import run_in_terminal

STEPS = REPOSITORY / "docker/steps.sh"


def build(script: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [STEPS, "slipway-x", "bash", "-c", script], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "line, shown",
    [
        ("Step 3/20 : RUN pip install", "step 3/20 RUN pip install"),
        ("STEP 3/20: COPY a b", "step 3/20 COPY a b"),
        ("#7 [3/12] RUN apt-get update", "step 3/12 RUN apt-get update"),
        ("#12 [stage-1 10/12] COPY a b", "step 10/12 COPY a b"),
        ("Step 3/20 : RUN " + 200 * "ü", "step 3/20 RUN "),
    ],
)
def test_each_builders_steps_are_lines(line, shown):
    lines = f"' ---> 0a1b' '{line}' '#7 0.3 Step 1/2 : no'"
    done = build(f"printf '%s\\r\\n' {lines} | tee /dev/stderr")
    assert done.returncode == 0
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 2  # standard error counts, too
    for found in lines:
        assert re.match(rf"images: slipway-x: \d+ s, {re.escape(shown)}", found)
        assert len(found.encode()) < 100


@pytest.mark.slow
def test_another_long_command_has_a_word_of_its_own(monkeypatch):
    monkeypatch.setenv("SPEAKER", "ci")
    assert re.fullmatch(
        r"ci: slipway-x: \d+ s, Setting up iptables\n", pulse("Setting up iptables")
    )
    assert build("exit 7").stderr.startswith("ci: slipway-x failed after ")


def test_a_terminal_has_one_line_with_a_bar(monkeypatch):
    script = "echo '#7 [3/12] RUN apt-get update'"
    monkeypatch.setenv("SPEAKER", "probe")
    code, screen = run_in_terminal([str(STEPS), "slipway-x", "bash", "-c", script], 100)
    (REPOSITORY / ".cache/seconds-probe-slipway-x").unlink()
    assert code == 0
    assert "3/12" in screen.text
    assert "RUN apt-get update" in screen.text
    assert re.fullmatch(r"probe: slipway-x: \d+ s, ended with code 0", screen.lines[0])


def test_a_failed_build_shows_its_last_lines_and_its_exit_code():
    done = build("seq 100; echo 'no space left' >&2; exit 7")
    assert done.returncode == 7
    assert done.stdout == ""
    first, *rest = done.stderr.splitlines()
    assert re.fullmatch(r"images: slipway-x failed after \d+ s; its last lines:", first)
    assert rest == [*(str(number) for number in range(62, 101)), "no space left"]


@pytest.mark.slow
def test_a_long_step_is_not_silent():
    assert re.fullmatch(r"images: slipway-x: \d+ s, unpacking torch\n", pulse("unpacking torch"))


def pulse(text: str) -> str:
    """The line about a step that prints a text and then goes on for long."""
    script = f"echo '{text}'; printf '\\033[0m\\n'; exec sleep 600"
    with subprocess.Popen(
        [STEPS, "slipway-x", "sh", "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PULSE_S": "1"},
    ) as process:
        try:
            assert process.stdout is not None
            return next(line for line in process.stdout if text in line)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
