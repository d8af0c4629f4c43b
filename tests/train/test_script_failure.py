"""The reason of a user's script that fails: its own words, else its exception, never log lines."""

import pytest

from train.job import Job
from train.sagemaker import (
    LAUNCHERS,
    TORCHRUN,
    _fail_script,
    _forget_failure,
    _script_failure,
    _toolkit_words,
    missing_launcher,
)

TRACEBACK = (
    "Traceback (most recent call last):\n"
    '  File "train.py", line 1, in <module>\n'
    "    fit()\n"
    "ValueError: no photos in '/opt/ml/input/data/train'\n"
)
INFO = "2026-11-30 05:00:00,123 sagemaker-training-toolkit INFO     Waiting for the process\n"
ERROR = "2026-11-30 05:00:00,124 sagemaker-training-toolkit ERROR    Reporting failure\n"


class Failed(Exception):
    return_code = 3


@pytest.mark.parametrize(
    "stderr, first",
    [
        (TRACEBACK, "ValueError: no photos in '/opt/ml/input/data/train'"),
        (TRACEBACK + INFO + ERROR, "ValueError: no photos in '/opt/ml/input/data/train'"),
        (TRACEBACK + "a thread's last words\n", "ValueError: no photos in"),
        ("KeyError: 'old'\n" + TRACEBACK, "ValueError: no photos in"),
        (INFO + "train.py: no photos\n" + INFO, "train.py: no photos"),
        (INFO, "it ended"),
    ],
)
def test_the_exception_is_the_reason(stderr, first):
    found = _script_failure("train.py", Failed("it ended"), bytearray(stderr.encode()))
    assert found.splitlines()[0].startswith(f"train.py failed with code 3: {first}")
    assert "INFO" not in found


@pytest.mark.parametrize("own", ["", "\n", "the label file is empty"])
def test_a_scripts_own_words_stay(tmp_path, monkeypatch, capsys, own):
    monkeypatch.setattr(Job, "at", staticmethod(lambda: Job(tmp_path)))
    (tmp_path / "output").mkdir()
    if own:
        (tmp_path / "output/failure").write_text(own)
    assert _fail_script("train.py failed with code 1: x") == 1
    expected = own.strip() or "train.py failed with code 1: x"
    assert (tmp_path / "output/failure").read_text().strip() == expected
    assert capsys.readouterr().err == f"train: failed: {expected}\n"


@pytest.mark.parametrize("name", LAUNCHERS)
def test_a_launcher_that_the_image_lacks_is_refused(name):
    """A script that asked for eight processes is not run as one."""
    sentence = missing_launcher({"sagemaker_job_name": "a", name: True})
    assert f"'{LAUNCHERS[name]}'" in sentence
    assert sentence.endswith("does not have; use {'torch_distributed': {'enabled': True}}")


@pytest.mark.parametrize("asked", [{}, {TORCHRUN: True}, {name: False for name in LAUNCHERS}])
def test_torchrun_and_no_launcher_are_there(asked):
    assert missing_launcher(asked) == ""


RANKED = "".join(f"[rank1]: {line}\n" for line in TRACEBACK.splitlines())
NOT_DESTROYED = "[rank1]:[W1130 05:00:00.1 ProcessGroup.cpp:1] Warning: it was not destroyed\n"
GROUP = (
    "  + Exception Group Traceback (most recent call last):\n"
    '  |   File "train.py", line 1, in <module>\n'
    "  |     fit()\n"
    "  | ExceptionGroup: two photos (2 sub-exceptions)\n"
    "  +-+---------------- 1 ----------------\n"
    "    | ValueError: a\n"
    "    +---------------- 2 ----------------\n"
    "    | ValueError: b\n"
    "    +------------------------------------\n"
)


@pytest.mark.parametrize(
    "stderr, first",
    [
        (RANKED + NOT_DESTROYED, "ValueError: no photos in '/opt/ml/input/data/train'"),
        (GROUP, "ExceptionGroup: two photos (2 sub-exceptions)"),
    ],
)
def test_marks_before_a_tracebacks_lines_hide_no_exception(stderr, first):
    found = _script_failure("train.py", Failed("it ended"), bytearray(stderr.encode()))
    assert found.splitlines()[0] == f"train.py failed with code 3: {first}"


def test_an_earlier_runs_reason_is_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(Job, "at", staticmethod(lambda: Job(tmp_path)))
    Job(tmp_path).write_failure("of yesterday")
    _forget_failure()
    _forget_failure()
    assert Job(tmp_path).failure() == ""


@pytest.mark.parametrize(
    "end, written, words",
    [
        # As the toolkit ends where it cannot fetch the script from S3.
        (SystemExit(1), f"Framework Error: \n{TRACEBACK}\nNo such key\n", "No such key"),
        (SystemExit(1), "", "1"),
        (SystemExit(), "", "SystemExit"),
    ],
)
def test_a_toolkit_that_only_exits_has_written_why(end, written, words):
    assert _toolkit_words(end, written) == words


def test_an_error_behind_the_toolkits_end_is_the_reason():
    try:
        try:
            raise ValueError("the true cause")
        except ValueError:
            raise SystemExit(1)  # noqa: B904  # as the toolkit does
    except SystemExit as end:
        assert _toolkit_words(end, "older words") == "the true cause"
