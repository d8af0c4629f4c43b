"""Ctrl-C and silence while the modules of a program load."""

import fcntl
import signal
import subprocess
import sys

import pytest

from artifact.host import starting
from artifact.host.starting import Loading, command_of

PIPE_BYTES = 4096  # the program cannot run further ahead of its reader


def test_ctrl_c_while_modules_load_is_one_line():
    command = [sys.executable, "-X", "importtime", "-m", "prepare", "a", "b"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as program:
        assert program.stderr
        fcntl.fcntl(program.stderr, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        while not program.stderr.readline().endswith(b" artifact.host.starting\n"):
            assert program.poll() is None
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=60)
    assert program.returncode == 130
    assert [line for line in said.splitlines() if not line.startswith(b"import time")] == [
        b"prepare: interrupted"
    ]


@pytest.mark.parametrize(
    "words, command",
    [
        ("python -m train --root x", "train"),
        ("python -I -m local_test.demo", "demo"),
        ("python -m slipway train", "slipway"),
        ("python -m serve.mms", "serve.mms"),
        ("python -m tune.worker", ""),  # its tuner tells it when to end
        ("python -m pytest -m train", ""),
        ("python -c pass -m train", ""),
        ("python train.py", ""),
        ("python -m", ""),
    ],
)
def test_only_our_own_commands_are_meant(words, command):
    assert command_of(words.split()) == command


def test_only_slow_loading_is_said(capsys, monkeypatch):
    with Loading("train", "torch"):
        pass
    monkeypatch.setattr(starting, "SILENT_S", 0)
    monkeypatch.setattr(starting, "_said", set())
    with Loading("train", "torch") as timer:
        timer.join(60)
    with Loading("train", "torch") as timer:  # the second part of it
        timer.join(60)
    assert capsys.readouterr().err == "train: loading torch\n"
